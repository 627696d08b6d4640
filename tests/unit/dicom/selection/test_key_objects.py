"""A rejection by a listed peer takes an image back, and no other Key Object changes anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from support import drafts
from support.key_objects import (
    FOR_TEACHING,
    OF_INTEREST,
    QUALITY,
    RETENTION,
    SAFETY,
    WORKLIST,
    evidence,
    key_object,
    stored,
)

from echo_node.dicom.contexts import contexts
from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.documents.rejection_note import RejectionNoteEncoder
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.key_objects import rejections
from echo_node.dicom.selection.patient_identity import IdentityWatch
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.studies.study import StoredInstance
from echo_node.domain.work.drafting import StudySnapshot
from echo_node.domain.work.withdrawal import (
    IdentityConflict,
    StandingDrafts,
    WithdrawalReason,
    WithdrawnDrafts,
)
from echo_node.errors import NotEligible
from echo_node.settings import DocumentKind

LISTED = {"PACS"}


@pytest.fixture
def image(tmp_path: Path) -> StoredInstance:
    return instance_from_file(drafts.image(tmp_path / "image.dcm"))


def _another(image: StoredInstance, language: str) -> StoredInstance:
    """Return another image, of the patient of this language."""
    path = drafts.image(image.path.with_name(f"{language}.dcm"), language)
    data_set = dcmread(path)
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data_set.save_as(path)
    return instance_from_file(path)


def _found(image: StoredInstance, *notes: StoredInstance, read: bool = True) -> IdentityConflict | None:
    uids = frozenset({image.identity.sop_instance_uid}) if read else frozenset()
    standing = StandingDrafts((), frozenset(note.identity.sop_instance_uid for note in notes), uids)
    return IdentityWatch(listed=LISTED).find(StudySnapshot((image, *notes), standing, None, {}))


def test_the_node_receives_key_objects() -> None:
    assert contexts().storage_class("1.2.840.10008.5.1.4.1.1.88.59") is not None


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        (QUALITY, WithdrawalReason.QUALITY),
        (SAFETY, WithdrawalReason.PATIENT_SAFETY),
        (WORKLIST, WithdrawalReason.WORKLIST),
        (RETENTION, WithdrawalReason.RETENTION),
    ],
)
def test_a_rejection_withdraws_the_draft_of_its_image(
    image: StoredInstance, tmp_path: Path, title: str, reason: WithdrawalReason
) -> None:
    found = _found(image, stored(key_object(title, [image]), tmp_path))
    assert found is not None
    assert (found.reason, found.attributes) == (reason, ())
    assert "a Key Object rejects an image" in found.explanation


def test_of_several_reasons_the_gravest_is_stated(image: StoredInstance, tmp_path: Path) -> None:
    notes = [stored(key_object(title, [image]), tmp_path) for title in (SAFETY, QUALITY)]
    found = _found(image, *notes)
    assert found is not None
    assert found.reason is WithdrawalReason.PATIENT_SAFETY


def test_the_rejected_image_is_not_read(image: StoredInstance, tmp_path: Path) -> None:
    note = stored(key_object(QUALITY, [image]), tmp_path)
    with pytest.raises(NotEligible, match=r"^rejected by a Key Object: Rejected for Quality Reasons$"):
        ChestImageSelector(listed=LISTED).select([image, note])
    another = _another(image, "zh")
    selection = ChestImageSelector(listed=LISTED).select([image, note, another])
    assert [each.instance for each in selection.images] == [another], "whatever patient the first names"
    assert [each.identity for each in selection.unread] == [image.identity]


def test_what_an_unlisted_peer_rejects_stays(image: StoredInstance, tmp_path: Path) -> None:
    note = stored(key_object(SAFETY, [image]), tmp_path, "STRANGER")
    assert _found(image, note) is None
    selection = ChestImageSelector(listed=LISTED).select([image, note])
    assert ([each.instance for each in selection.images], selection.unread) == ([image], ())


@pytest.mark.parametrize("title", [OF_INTEREST, FOR_TEACHING, "113010"])
def test_other_titles_reject_nothing(image: StoredInstance, tmp_path: Path, title: str) -> None:
    note = stored(key_object(title, [image]), tmp_path)
    assert _found(image, note) is None
    assert ChestImageSelector(listed=LISTED).select([image, note]).unread == ()


def test_a_title_counts_in_every_version_of_its_scheme_and_in_no_other(
    image: StoredInstance, tmp_path: Path
) -> None:
    note = key_object(QUALITY, [image])
    (title,) = note.ConceptNameCodeSequence
    title.CodingSchemeVersion = "01"
    assert _found(image, stored(note, tmp_path)) is not None
    del title.CodingSchemeDesignator
    title.CodingSchemeUID = "1.2.840.10008.2.16.4"
    assert _found(image, stored(note, tmp_path)) is not None
    title.CodingSchemeUID, title.CodingSchemeDesignator = "", "99LOCAL"
    assert _found(image, stored(note, tmp_path)) is None


def test_images_that_were_not_read_may_be_rejected(image: StoredInstance, tmp_path: Path) -> None:
    note = stored(key_object(SAFETY, [_another(image, "ja")]), tmp_path)
    assert _found(image, note) is None


def test_images_are_named_in_the_content_or_else_in_the_evidence(
    image: StoredInstance, tmp_path: Path
) -> None:
    note = key_object(QUALITY, [image])
    inner = Dataset()
    inner.ValueType, inner.ContentSequence = "CONTAINER", note.ContentSequence
    note.ContentSequence = [inner]
    uids = {image.identity.sop_instance_uid}
    assert rejections([stored(note, tmp_path)], LISTED).keys() == uids
    note.ContentSequence = []
    note.CurrentRequestedProcedureEvidenceSequence = [evidence([image])]
    assert rejections([stored(note, tmp_path)], LISTED).keys() == uids


def test_a_damaged_note_rejects_nothing_and_is_logged(image: StoredInstance, tmp_path: Path) -> None:
    without_images = key_object(QUALITY, [image])
    without_images.ContentSequence = []
    without_title = key_object(QUALITY, [image])
    del without_title.ConceptNameCodeSequence
    lost = stored(key_object(QUALITY, [image]), tmp_path)
    lost.path.write_bytes(b"no longer DICOM")
    notes = [stored(without_images, tmp_path), stored(without_title, tmp_path), lost]
    with structlog.testing.capture_logs() as logged:
        assert rejections([image, *notes], LISTED) == {}
    events = [(each["event"], each["peer"], each["reason"]) for each in logged]
    assert events == [
        ("key_object_unreadable", "PACS", "it rejects, and names no instance"),
        ("key_object_unreadable", "PACS", "the file is not a readable DICOM file"),
    ]
    assert _found(image, *notes) is None
    assert ChestImageSelector(listed=LISTED).select([image, *notes]).unread == ()


def test_our_own_note_that_comes_back_changes_nothing(image: StoredInstance, tmp_path: Path) -> None:
    report = dicom_encoder(DocumentKind.BASIC_TEXT_SR).encode(drafts.draft_of(image.path))
    withdrawn = WithdrawnDrafts((report,), ("pacs",), WithdrawalReason.PATIENT_SAFETY, drafts.AT)
    path = tmp_path / "own.dcm"
    path.write_bytes(RejectionNoteEncoder().encode(withdrawn).content)
    note = replace(instance_from_file(path), calling_ae_title="PACS")
    assert _found(image, note) is None
    assert ChestImageSelector(listed=LISTED).select([image, note]).unread == ()


def test_what_a_note_says_of_the_patient_contradicts_nothing(image: StoredInstance, tmp_path: Path) -> None:
    note = key_object(OF_INTEREST, [image])
    note.PatientID, note.PatientName, note.AccessionNumber = "someone", "Else^Someone", "Z1"
    assert _found(image, stored(note, tmp_path)) is None
