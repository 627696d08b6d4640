"""Objects of two patients under one UID: held, shown, decided, and seen in a real PACS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from integration.orthanc import PROGRAM, Orthanc
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, KeyObjectSelectionDocumentStorage
from support.console import echo_node
from support.parrot import write_parrot
from support.serving import ServedNode, eventually

from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed: make tools"),
]

CORRECTED = {"PatientID": "RIGHT-1", "PatientName": "Right^Person", "AccessionNumber": "RIGHT-ORDER"}
DIFFERENT = ["PatientID", "PatientName", "AccessionNumber"]


class World:
    """A node, the PACS that gets its drafts, and an operator at its console."""

    def __init__(self, node: ServedNode, pacs: Orthanc, folder: Path) -> None:
        self.node = node
        self._pacs = pacs
        self._folder = folder
        self._count = 0

    def image(self) -> tuple[Dataset, Path]:
        """Return a new image, and its file."""
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        (path,) = write_study(folder, seed=self._count, views=["PA"], size=512)
        return dcmread(path), path

    def changed(self, image: Dataset, syntax: str | None = None, **attributes: str) -> Path:
        """Return the file of an image with other attributes, under the same SOP Instance UID."""
        for keyword, value in (attributes or CORRECTED).items():
            setattr(image, keyword, value)
        if syntax:
            image.compress(syntax, generate_instance_uid=False)
        self._count += 1
        path = self._folder / f"{self._count}.dcm"
        image.save_as(path)
        return path

    def record(self, study: str) -> dict[str, Any]:
        """Return the record of a study, as `queue show` prints it."""
        with self.node.storage() as storage:
            numbers = [row["study_id"] for row in storage.queries.recent_studies(50)]
            records = [storage.queries.show(number) for number in numbers]
        known = [each for each in records if each["study_instance_uid"] == study]
        return known[0] if known else {"state": "unknown"}

    def wait(self, study: str, state: str) -> dict[str, Any]:
        eventually(lambda: self.record(study)["state"] == state, f"{study} is {state}: {self.node.log}")
        return self.record(study)

    def console(self, *arguments: str) -> str:
        flags = ("--config", self._folder, "--data-dir", self.node.data_dir)
        done = echo_node(*arguments, *flags, cwd=self._folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def resolve(self, study: str, decision: str) -> None:
        self.console("queue", "resolve", str(self.record(study)["study_id"]), decision, "--by", "alice")

    def in_the_pacs(self, study: str) -> tuple[list[str], list[str]]:
        """Return the patient IDs of a study's drafts, and of its rejection notes."""
        found = [
            dcmread(BytesIO(self._pacs.file(row["ID"]))) for row in self._pacs.find(StudyInstanceUID=study)
        ]
        notes = [each for each in found if each.SOPClassUID == KeyObjectSelectionDocumentStorage]
        return (
            sorted(str(each.PatientID) for each in found if each not in notes),
            sorted(str(each.PatientID) for each in notes),
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("held")
    (folder / "node.toml").write_text("[intake]\nstudy_idle_s = 1.0\n")
    (folder / "peers.toml").write_text(
        '[broker]\nae_title = "BROKER"\non_conflict = "replace"\n'
        '[detector]\nae_title = "DETECTOR"\non_conflict = "keep"\n'
    )
    model = write_parrot(folder / "model")
    with Orthanc() as pacs:
        flags = ("--config", str(folder), "--pacs", pacs.address, "--model", str(model))
        with ServedNode(folder, *flags, is_warm=True) as node:
            yield World(node.start("receive", "infer", "deliver"), pacs, folder)
            assert node.stop() == 0
            assert "RIGHT" not in node.log.read_text()


def _differs(record: dict[str, Any]) -> list[str]:
    return list(record["holds"][-1]["attributes"])


def test_before_completion_nothing_is_drafted_until_the_first_is_kept(world: World) -> None:
    image, path = world.image()
    study, first = str(image.StudyInstanceUID), str(image.PatientID)
    world.node.send(path)
    world.node.send(world.changed(image))
    record = world.wait(study, "held")
    assert _differs(record) == DIFFERENT
    assert world.in_the_pacs(study) == ([], [])
    shown = world.console("status") + world.console("queue", "list", "--state", "held", "--json")
    assert "the patient ID, the patient's name and the accession number differ" in " ".join(shown.split())
    assert "RIGHT" not in shown
    world.resolve(study, "keep")
    world.wait(study, "delivered")
    assert world.in_the_pacs(study) == ([first], [])


@pytest.mark.parametrize("syntax", [None, JPEGLSLossless])
def test_after_delivery_the_draft_is_withdrawn_and_the_newer_replaces_it(
    world: World, syntax: str | None
) -> None:
    image, path = world.image()
    study, first = str(image.StudyInstanceUID), str(image.PatientID)
    world.node.send(path)
    world.wait(study, "delivered")
    world.node.send(world.changed(image, syntax))
    assert _differs(world.wait(study, "withdrawn")) == DIFFERENT
    assert world.in_the_pacs(study) == ([first], [first])
    world.resolve(study, "replace")
    world.wait(study, "delivered")
    assert world.in_the_pacs(study) == (sorted([first, "RIGHT-1"]), [first])


def test_an_object_of_another_patients_study_moves_there(world: World) -> None:
    image, path = world.image()
    study, first = str(image.StudyInstanceUID), str(image.PatientID)
    world.node.send(path)
    world.wait(study, "delivered")
    own_study = f"{study}.1"[-64:].lstrip("0.")
    world.node.send(world.changed(image, StudyInstanceUID=own_study, PatientID="RIGHT-2"))
    assert _differs(world.wait(study, "withdrawn")) == ["PatientID", "StudyInstanceUID"]
    world.resolve(study, "replace")
    world.wait(own_study, "delivered")
    assert world.in_the_pacs(own_study) == (["RIGHT-2"], [])
    assert world.wait(study, "skipped")["instances"] == []
    assert world.in_the_pacs(study) == ([first], [first])


@pytest.mark.parametrize(
    ("calling", "changes", "drafts"),
    [
        ("BROKER", CORRECTED, lambda first: [first, "RIGHT-1"]),
        ("DETECTOR", {"SeriesDescription": "Sent again", "ViewPosition": "AP"}, lambda first: [first]),
    ],
)
def test_a_sender_may_have_decided_in_advance(
    world: World, calling: str, changes: dict[str, str], drafts: Callable[[str], list[str]]
) -> None:
    image, path = world.image()
    study, first = str(image.StudyInstanceUID), str(image.PatientID)
    world.node.send(path, calling=calling)
    world.wait(study, "delivered")
    world.node.send(world.changed(image, **changes), calling=calling)
    eventually(lambda: world.record(study)["revision"] > 1, "the second object starts a revision")
    world.wait(study, "delivered")
    assert world.in_the_pacs(study)[0] == sorted(drafts(first))


def test_what_keep_may_not_decide_is_held(world: World) -> None:
    image, path = world.image()
    study = str(image.StudyInstanceUID)
    world.node.send(path, calling="DETECTOR")
    world.wait(study, "delivered")
    world.node.send(world.changed(image), calling="DETECTOR")
    assert _differs(world.wait(study, "withdrawn")) == DIFFERENT
    assert json.loads(world.console("status", "--json"))["held"]
