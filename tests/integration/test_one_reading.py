"""An image's file is opened twice for a draft in every form: for its header, and for its pixels."""

from pathlib import Path

from pydicom import dcmread
from pydicom.uid import UID
from support import drafts
from support.opened import opened_in
from support.studies import SentInstance, SetClock, store

from echo_node.dicom.header import split
from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.dicom.instance_file import instance_from_file
from echo_node.domain.drafts.comparison import Comparison
from echo_node.domain.drafts.report import ModelIdentity, Report
from echo_node.domain.drafts.subject import Subject
from echo_node.domain.studies.study import GreyImage
from echo_node.domain.work.lifecycle import StudyState
from echo_node.pipeline.draft import DraftStage
from echo_node.pipeline.priors import PriorSearch
from echo_node.pipeline.receive import Intake
from echo_node.settings import (
    DeliverySettings,
    DocumentKind,
    IntakeSettings,
    NodeSettings,
    Peer,
    SelectionSettings,
    Settings,
)
from echo_node.wiring.destinations import encoder, encoders
from echo_node.wiring.images import chest_images
from echo_node.wiring.storage import open_storage

PATIENCE_S = 60


class Model:
    """Writes the same words for every image."""

    model: ModelIdentity = drafts.MODEL

    def generate(self, image: GreyImage) -> Report:
        return drafts.report()


class NoPriors:
    archive, within_years = "ARCHIVE", 10

    def __init__(self) -> None:
        self.subjects: list[Subject] = []

    def find(self, subject: Subject, study_instance_uid: str) -> Comparison:
        self.subjects.append(subject)
        return Comparison(self.archive, self.within_years)


def _later_image(path: Path, target: Path) -> Path:
    data_set = dcmread(path)
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = UID(
        f"{data_set.SOPInstanceUID}.2"
    )
    data_set.AcquisitionDateTime = "20990101"
    data_set.save_as(target)
    return target


def test_the_second_draft_of_a_study_opens_its_image_twice(tmp_path: Path) -> None:
    dicom = tuple(kind for kind in DocumentKind if kind is not DocumentKind.ORU_R01)
    settings = Settings(
        node=NodeSettings(data_dir=tmp_path / "data"),
        intake=IntakeSettings(minimum_free_bytes=0),
        delivery=DeliverySettings(destinations=("pacs", "ris")),
        selection=SelectionSettings(view_check="refuse"),
        peers={
            "pacs": Peer(ae_title="PACS", host="127.0.0.1", port=104, kinds=dicom),
            "ris": Peer(ae_title="RIS", mllp_url="mllp://127.0.0.1:2575"),
        },
    )
    clock, finder = SetClock(), NoPriors()
    images = chest_images(settings.selection)
    forms = encoders(settings)
    assert len(forms) == len(DocumentKind)
    first = drafts.image(tmp_path / "1.dcm")
    with open_storage(settings, clock) as storage:
        storage.upgrade()
        stage = DraftStage(
            storage.drafts, images.selector, images.shown, Model(), forms, clock,
            images.identity_check(orders=True), PriorSearch(finder, clock, PATIENCE_S),
        )  # fmt: skip
        for path in (first, _later_image(first, tmp_path / "2.dcm")):
            _, data_set = split(path.read_bytes())
            sent = SentInstance(instance_from_file(path).identity, "MODALITY", data_set=data_set)
            store(Intake(storage.spool, storage.studies), sent)
            clock.move(10_000)
            storage.studies.complete_due()
            job = storage.jobs.claim("worker")
            assert job is not None
            with opened_in(tmp_path / "data" / "spool") as opened:
                stage(job)
        shown = storage.queries.show(1)
    assert shown["state"] == StudyState.DRAFTED
    assert len(shown["documents"]) == 2 * len(DocumentKind)
    assert sorted(map(opened.count, set(opened))) == [1, 2], "each header once; the pixels of one image"
    newest = max(opened, key=opened.count)
    assert instance_from_file(newest).identity.sop_instance_uid.endswith(".2")
    assert finder.subjects == [drafts.draft_of(first).subject] * 2


def test_every_form_is_made_of_the_draft_alone(tmp_path: Path) -> None:
    kept, gone = (drafts.draft_of(drafts.image(tmp_path / f"{name}.dcm")) for name in ("kept", "gone"))
    gone.selection.primary.instance.path.unlink()
    for kind in DocumentKind:
        made = encoder(kind, Settings())
        assert made.encode(gone) == made.encode(kept)


def test_pixels_are_read_by_one_open(tmp_path: Path) -> None:
    image = drafts.draft_of(drafts.image(tmp_path / "image.dcm")).selection.primary
    with opened_in(tmp_path) as opened:
        DisplayedPixels().read(image)
    assert len(opened) == 1
