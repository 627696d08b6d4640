"""One study, one node, and each destination gets the draft in the forms that it asked for."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from integration.orthanc import PROGRAM, Orthanc
from pydicom import dcmread
from support.mllp import ReportingSystem
from support.serving import ServedNode, eventually

from echo_node.dicom.scu.c_store import send_files
from echo_node.settings import DocumentKind, Peer
from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed: make tools"),
]

_KINDS = [kind for kind in DocumentKind if kind is not DocumentKind.ORU_R01]


def _configuration(folder: Path, pacs: Orthanc, ris: ReportingSystem) -> Path:
    folder.mkdir()
    (folder / "node.toml").write_text('[delivery]\ndestinations = ["pacs", "ris"]\nfirst_delay_s = 0.1\n')
    (folder / "peers.toml").write_text(
        f'[pacs]\nae_title = "{pacs.peer.ae_title}"\nhost = "127.0.0.1"\nport = {pacs.dicom_port}\n'
        f"kinds = {[str(kind) for kind in _KINDS]}\n"
        f'[ris]\nae_title = "RIS"\nmllp_url = "mllp://127.0.0.1:{ris.port}"\n'
    )
    return folder


def test_each_destination_gets_its_forms(tmp_path: Path) -> None:
    images = write_study(tmp_path, seed=1)
    study = str(dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
    with Orthanc() as pacs, ReportingSystem("AE", "AA") as ris:
        configuration = _configuration(tmp_path / "config", pacs, ris)
        with ServedNode(tmp_path, "--config", str(configuration), "--study-idle", "1", is_warm=True) as node:
            node.start("receive", "infer", "deliver")
            peer = Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=node.port)
            assert all(result.stored for result in send_files(images, peer, "MODALITY"))
            eventually(lambda: node.studies() == {"delivered": 1}, f"delivered: {node.log}")
            with node.storage() as storage:
                record = storage.queries.show(1)
            assert node.stop() == 0
        assert sorted(row["kind"] for row in record["documents"]) == sorted(DocumentKind)
        assert {row["state"] for row in record["deliveries"]} == {"delivered"}
        kept = [dcmread(BytesIO(pacs.file(row["ID"]))) for row in pacs.find(StudyInstanceUID=study)]
        assert {each.SeriesDescription for each in kept} == {"AI DRAFT - UNVERIFIED"}
        assert len({each.SOPClassUID for each in kept}) == len(kept) == len(_KINDS)
        # Refused once for a while, then taken: the very same bytes.
        first, second = ris.received
        assert first == second
        assert first.startswith(b"MSH|^~\\&|ECHO_NODE|")
        assert study.encode() in first
