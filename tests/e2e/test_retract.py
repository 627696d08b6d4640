"""An operator, and the node itself, withdraw a draft from a real PACS and a reporting system."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from integration.orthanc import PROGRAM, Orthanc
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage, generate_uid
from support.console import echo_node
from support.mllp import ReportingSystem
from support.parrot import write_parrot
from support.serving import ServedNode, eventually

from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed: make tools"),
]

_ROLES = ("receive", "infer", "deliver")


def _configuration(folder: Path, pacs: Orthanc, ris: ReportingSystem) -> Path:
    folder.mkdir()
    (folder / "node.toml").write_text(
        '[delivery]\ndestinations = ["pacs", "ris"]\n'
        "first_delay_s = 0.1\nlongest_delay_s = 0.5\nlease_s = 2.0\n"
    )
    (folder / "peers.toml").write_text(
        f'[pacs]\nae_title = "{pacs.peer.ae_title}"\nhost = "127.0.0.1"\nport = {pacs.dicom_port}\n'
        'kinds = ["basic-text-sr", "secondary-capture"]\n'
        f'[ris]\nae_title = "RIS"\nmllp_url = "mllp://127.0.0.1:{ris.port}"\n'
    )
    return folder


def _objects(pacs: Orthanc, study: str) -> list[Dataset]:
    return [dcmread(BytesIO(pacs.file(row["ID"]))) for row in pacs.find(StudyInstanceUID=study)]


def _wait(node: ServedNode, state: str) -> None:
    eventually(lambda: node.studies() == {state: 1}, f"{state}: {node.log}")


def _retract(node: ServedNode, configuration: Path, *more: str) -> dict[str, Any]:
    flags = ("--config", configuration, "--data-dir", node.data_dir, "--json")
    done = echo_node("retract", "1", *more, *flags, cwd=configuration.parent)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _notes(objects: list[Dataset]) -> list[Dataset]:
    return [each for each in objects if each.SOPClassUID == KeyObjectSelectionDocumentStorage]


def _listed(note: Dataset) -> set[str]:
    return {
        str(each.ReferencedSOPInstanceUID)
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }


@pytest.mark.long
def test_an_operator_and_a_crash_and_then_another_draft(tmp_path: Path) -> None:
    """Withdrawal while the node is down, and a kill while it sends the notes: each arrives once."""
    (path,) = write_study(tmp_path, seed=3, views=["PA"])
    study = str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)
    model = write_parrot(tmp_path / "model")
    with Orthanc() as pacs, ReportingSystem("AA", "AE", "AA") as ris:
        configuration = _configuration(tmp_path / "config", pacs, ris)
        arguments = ("--config", str(configuration), "--study-idle", "1", "--model", str(model))
        with ServedNode(tmp_path, *arguments, is_warm=True) as node:
            node.start(*_ROLES)
            node.send(path)
            _wait(node, "delivered")
            drafts = {str(each.SOPInstanceUID) for each in _objects(pacs, study)}
            node.kill()
            first = _retract(node, configuration, "--reason", "quality", "--by", "alice")
            assert (first["state"], first["withdrawn_now"], first["code"]) == ("withdrawing", True, "113001")
            node.start("deliver")
            node.kill()
            node.start(*_ROLES)
            _wait(node, "withdrawn")
            again = _retract(node, configuration, "--wait")
            assert (again["state"], again["withdrawn_now"], again["asked_by"]) == (
                "withdrawn",
                False,
                "alice",
            )
            assert {(row["draft"], row["note"]) for row in again["destinations"]} == {("has it", "delivered")}
            (note,) = _notes(_objects(pacs, study))
            assert _listed(note) == drafts
            assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
            sent, *corrections = ris.received
            assert len(set(corrections)) == 1, "a correction that is sent again is the same message"
            assert corrections[0].count(b"|W\r") == sent.count(b"\rOBX|")
            done = echo_node("redraft", "1", *arguments[:2], "--data-dir", node.data_dir, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            _wait(node, "delivered")
            assert len(_objects(pacs, study)) == 5
            assert node.stop() == 0


def test_a_late_image_of_another_patient_withdraws_the_draft(tmp_path: Path) -> None:
    (path,) = write_study(tmp_path, seed=4, views=["PA"])
    image = dcmread(path)
    study = str(image.StudyInstanceUID)
    model = write_parrot(tmp_path / "model")
    with Orthanc() as pacs, ReportingSystem("AA") as ris:
        configuration = _configuration(tmp_path / "config", pacs, ris)
        arguments = ("--config", str(configuration), "--study-idle", "1", "--model", str(model))
        with ServedNode(tmp_path, *arguments, is_warm=True) as node:
            node.start(*_ROLES)
            node.send(path)
            _wait(node, "delivered")
            drafts = {str(each.SOPInstanceUID) for each in _objects(pacs, study)}
            image.PatientID = "MERGED"
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            image.save_as(tmp_path / "late.dcm")
            node.send(tmp_path / "late.dcm")
            _wait(node, "withdrawn")
            (note,) = _notes(_objects(pacs, study))
            assert note.ConceptNameCodeSequence[0].CodeValue == "113037"
            assert _listed(note) == drafts
            assert str(note.PatientID) != "MERGED"
            with node.storage() as storage:
                (withdrawal,) = storage.queries.show(1)["withdrawals"]
            assert withdrawal["asked_by"] == ""
            assert withdrawal["explanation"].startswith("the patient ID differs")
            assert "MERGED" not in node.log.read_text()
            assert len(ris.received) == 2
            assert node.stop() == 0
