"""Key Objects that arrive for a study with a draft: only a rejection of its image matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select
from support.house import House
from support.key_objects import FOR_TEACHING, QUALITY, SAFETY, key_object, stored
from support.radiographs import PLAIN, radiograph, ramp, write
from support.studies import MODEL, SentInstance, stored_file

from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.header import split
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.patient_identity import IdentityWatch
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.drafts.report import Generation, Report, Sentence
from echo_node.domain.studies.study import GreyImage, SelectedImage, StoredInstance
from echo_node.domain.work.lifecycle import StudyState
from echo_node.pipeline.draft import DraftStage
from echo_node.settings import DocumentKind
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import Document

LISTED = {"PACS"}
STUDY = "1.2.3.1"


class Model:
    """Reads nothing and always writes the same report."""

    model = MODEL

    def __init__(self) -> None:
        self.drafts = 0

    def read(self, image: SelectedImage) -> GreyImage:
        return GreyImage(1, 1, b"\0")

    def generate(self, image: GreyImage) -> Report:
        self.drafts += 1
        return Report((Sentence("No effusion."),), (), "en", MODEL, Generation("one_step", 8, 1, 0.1))


class Node:
    """A node that has drafted the study of one image."""

    def __init__(self, folder: Path) -> None:
        database = Database(f"sqlite:///{folder / 'x.sqlite3'}")
        migrate.upgrade(database)
        self.folder = folder
        self.house = House(database, folder)
        self.model = Model()
        self.stage = DraftStage(
            self.house.drafts, ChestImageSelector(listed=LISTED), self.model, self.model,
            [dicom_encoder(DocumentKind.BASIC_TEXT_SR)], self.house.clock, IdentityWatch(listed=LISTED),
        )  # fmt: skip
        image = radiograph(ramp(*PLAIN), StudyInstanceUID=STUDY)
        self.image = instance_from_file(write(folder / "image.dcm", image))
        self.arrive(self.image, "MODALITY")
        self.work()

    def arrive(self, instance: StoredInstance, calling_ae_title: str) -> None:
        _, data_set = split(instance.path.read_bytes())
        sent = SentInstance(instance.identity, calling_ae_title, data_set=data_set)
        path = self.folder / stored_file(sent).path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sent.part10)
        self.house.arrive(sent)

    def note(self, note: Dataset, calling_ae_title: str = "PACS") -> None:
        self.arrive(stored(note, self.folder), calling_ae_title)
        self.work()

    def work(self) -> None:
        self.house.complete()
        self.stage(self.house.claim())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def _of_interest(note: Dataset) -> None:
    note.ConceptNameCodeSequence[0].CodeValue = FOR_TEACHING


def _of_another_image(note: Dataset) -> None:
    note.ContentSequence[1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"


def _without_images(note: Dataset) -> None:
    note.ContentSequence = []


@pytest.mark.parametrize("change", [_of_interest, _of_another_image, _without_images])
def test_other_key_objects_make_no_new_draft(node: Node, change: Callable[[Dataset], None]) -> None:
    note = key_object(SAFETY, [node.image])
    change(note)
    node.note(note)
    assert (node.house.state(), node.house.revision(), node.model.drafts) == (StudyState.DRAFTED, 2, 1)


def test_a_stranger_rejects_nothing(node: Node) -> None:
    node.note(key_object(SAFETY, [node.image]), "STRANGER")
    assert (node.house.state(), node.model.drafts) == (StudyState.DRAFTED, 1)


def test_a_rejection_withdraws_the_draft_and_no_other_is_made_of_the_image(node: Node) -> None:
    node.note(key_object(QUALITY, [node.image]))
    assert (node.house.state(), node.model.drafts) == (StudyState.WITHDRAWN, 1)
    assert "Rejected for Quality Reasons" in (node.house.reason() or "")
    retaken = radiograph(ramp(*PLAIN), StudyInstanceUID=STUDY, SOPInstanceUID="1.2.3.2")
    node.arrive(instance_from_file(write(node.folder / "retaken.dcm", retaken)), "MODALITY")
    node.house.withdrawals.redraft(1)
    node.stage(node.house.claim())
    assert (node.house.state(), node.model.drafts) == (StudyState.DRAFTED, 2)
    with node.house.database.read() as session:
        latest = session.scalars(select(Document).order_by(Document.id.desc())).first()
        assert latest is not None
        assert latest.input_sop_instance_uids == ["1.2.3.2"]
