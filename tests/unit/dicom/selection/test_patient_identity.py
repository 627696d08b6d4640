"""A draft is withdrawn for another patient or order, and for nothing that only looks like one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from support import drafts

from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.patient_identity import IdentityWatch
from echo_node.domain.studies.study import StoredInstance
from echo_node.domain.work.drafting import StudySnapshot
from echo_node.domain.work.withdrawal import IdentityConflict, StandingDrafts, WithdrawalReason
from echo_node.settings import DocumentKind


class Study:
    """A study with a draft, to which an image comes."""

    def __init__(self, folder: Path, language: str = "en", header: str = "whole") -> None:
        self.folder = folder
        self.first = drafts.image(folder / "first.dcm", language, header)
        draft = drafts.draft_of(self.first, drafts.report(language))
        self.documents = tuple(
            dicom_encoder(kind).encode(draft)
            for kind in (DocumentKind.BASIC_TEXT_SR, DocumentKind.ENCAPSULATED_PDF)
        )

    def another(self, **changes: Any) -> StoredInstance:
        """Return an image like the first with other attributes."""
        data_set = dcmread(self.first)
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword, value in changes.items():
            setattr(data_set, keyword, value)
        path = self.folder / f"{data_set.SOPInstanceUID}.dcm"
        data_set.save_as(path)
        return instance_from_file(path)

    def conflict(
        self, late: StoredInstance, *earlier: StoredInstance, orders: bool = True
    ) -> IdentityConflict | None:
        known = [instance_from_file(self.first), *earlier]
        return IdentityWatch(orders=orders).find(self.snapshot(*known, late, late=late))

    def snapshot(self, *instances: StoredInstance, late: StoredInstance) -> StudySnapshot:
        standing = StandingDrafts(self.documents, frozenset({late.identity.sop_instance_uid}))
        return StudySnapshot(instances, standing, None, {})


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


@pytest.mark.parametrize("language", drafts.LANGUAGES)
@pytest.mark.parametrize("header", drafts.HEADERS)
def test_another_image_like_the_first_contradicts_nothing(tmp_path: Path, language: str, header: str) -> None:
    study = Study(tmp_path, language, header)
    assert study.conflict(study.another()) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientID": "another"},
        {"PatientName": "Doe^Jane"},
        {"PatientBirthDate": "19010101"},
        {"PatientSex": "O"},
    ],
)
def test_another_patient_is_a_matter_of_safety(study: Study, changes: dict[str, str]) -> None:
    found = study.conflict(study.another(**changes))
    assert found is not None
    assert found.reason is WithdrawalReason.PATIENT_SAFETY
    assert not [value for value in changes.values() if value in found.explanation]


def test_the_draft_itself_tells_where_its_image_is_gone(study: Study) -> None:
    late = study.another(PatientID="another")
    found = IdentityWatch().find(study.snapshot(late, late=late))
    assert found is not None
    assert found.reason is WithdrawalReason.PATIENT_SAFETY


def test_another_order_is_a_matter_of_the_worklist_unless_it_is_to_be_ignored(study: Study) -> None:
    late = study.another(AccessionNumber="B88")
    found = study.conflict(late)
    assert found is not None
    assert found.reason is WithdrawalReason.WORKLIST
    assert "B88" not in found.explanation
    assert study.conflict(late, orders=False) is None


def test_an_order_that_was_there_before_the_draft_is_no_correction(study: Study) -> None:
    assert study.conflict(study.another(AccessionNumber="B88"), study.another(AccessionNumber="B88")) is None


@pytest.mark.parametrize(
    "changes", [{"AccessionNumber": ""}, {"PatientID": ""}, {"PatientName": "BUC^Jérôme^^dr.^PhD"}]
)
def test_what_an_image_leaves_out_or_writes_otherwise_contradicts_nothing(
    study: Study, changes: dict[str, str]
) -> None:
    assert study.conflict(study.another(**changes)) is None


def test_an_accession_number_where_the_draft_has_none_completes_it(tmp_path: Path) -> None:
    study = Study(tmp_path, header="bare")
    assert study.conflict(study.another(AccessionNumber="A1")) is None


def test_an_image_that_cannot_be_read_contradicts_nobody(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late = study.another(PatientID="another")
    late.path.write_bytes(b"no longer DICOM")
    assert study.conflict(late) is None
