"""A node that looks for priors: named if the archive answers, stated as unknown if it is dead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from integration.orthanc import PROGRAM, Orthanc
from integration.validators import dciodvfy_errors
from pydicom import dcmread
from support import archive
from support.serving import ServedNode, eventually

from echo_node.dicom.documents.sr_reader import read_sections
from echo_node.dicom.scu.c_store import send_files
from echo_node.settings import Peer
from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed: make tools"),
]


def _configuration(folder: Path, pacs: Orthanc) -> Path:
    folder.mkdir()
    (folder / "node.toml").write_text('[priors]\npeer = "archive"\ntime_limit_s = 20\n')
    (folder / "peers.toml").write_text(
        f'[archive]\nae_title = "{pacs.peer.ae_title}"\nhost = "127.0.0.1"\nport = {pacs.dicom_port}\n'
    )
    return folder


def _said_of_priors(node: ServedNode, study: str) -> str:
    for path in (node.data_dir / "outbox").rglob("*.dcm"):
        if dcmread(path, specific_tags=["StudyInstanceUID"]).StudyInstanceUID == study:
            assert dciodvfy_errors(path) == []
            sections = {each.heading: each.texts for each in read_sections(path.read_bytes())}
            return " ".join(sections["Prior Procedure Descriptions"])
    raise AssertionError(f"no draft of {study}")


def test_a_draft_names_the_prior_and_goes_out_without_the_archive(tmp_path: Path) -> None:
    first, second = write_study(tmp_path, seed=1, views=["PA"]), write_study(tmp_path, seed=2, views=["PA"])
    prior = dcmread(first[0])
    prior.StudyInstanceUID, prior.SeriesInstanceUID, prior.SOPInstanceUID = "1.2.3", "1.2.3.4", "1.2.3.4.5"
    prior.StudyDate = "20240229"
    with Orthanc() as pacs:
        pacs.store(archive.file(prior))
        configuration = _configuration(tmp_path / "config", pacs)
        with ServedNode(tmp_path, "--config", str(configuration), "--study-idle", "1", is_warm=True) as node:
            node.start("receive", "infer")
            peer = Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=node.port)
            assert all(each.stored for each in send_files(first, peer, "MODALITY"))
            eventually(lambda: node.studies() == {"drafted": 1}, f"drafted: {node.log}")
            pacs.stop()
            assert all(each.stored for each in send_files(second, peer, "MODALITY"))
            eventually(lambda: node.studies() == {"drafted": 2}, f"drafted: {node.log}")
            assert node.stop() == 0
        assert pacs.start().instances("1.2.3") == ["1.2.3.4.5"]
    named = _said_of_priors(node, str(dcmread(first[0]).StudyInstanceUID))
    assert (
        "a prior chest radiograph of 2024-02-29 (PA) exists in ORTHANC; the program did not read it" in named
    )
    assert named.endswith("Study Instance UID: 1.2.3")
    unknown = _said_of_priors(node, str(dcmread(second[0]).StudyInstanceUID))
    assert "priors could not be looked up in ORTHANC" in unknown
    log = node.log.read_text()
    outcomes = [
        json.loads(line)["outcome"] for line in log.splitlines() if '"event": "priors_looked_up"' in line
    ]
    assert outcomes == ["found", "not looked up"]
    for image in (first[0], second[0]):
        header = dcmread(image, stop_before_pixels=True)
        secrets = (header.PatientID, header.PatientBirthDate, str(header.PatientName), header.StudyDate)
        assert not [each for each in (*secrets, "20240229") if each in log]
