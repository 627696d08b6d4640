"""A draft is withdrawn for another patient or order, and for nothing that only looks like one."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, generate_uid
from support import drafts
from support.radiographs import PLAIN, radiograph, ramp, write

from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.header import HEADER_KEYWORDS, read_header
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.other_content import DISPLAY_KEYWORDS
from echo_node.dicom.selection.patient_identity import IdentityWatch, patient_difference_in_words
from echo_node.domain.studies.identity import OnConflict
from echo_node.domain.studies.study import StoredInstance
from echo_node.domain.work.drafting import OtherContent, StudySnapshot
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


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientName": "BUC JEROME"},
        {"PatientName": "Jérôme^Buc"},
        {"PatientSex": "u"},
        {"IssuerOfPatientID": ""},
        {"OtherPatientNames": "Anyone^Else"},
    ],
)
def test_spelling_is_no_other_patient(study: Study, changes: dict[str, str]) -> None:
    assert study.conflict(study.another(**changes)) is None


def test_every_attribute_that_differs_is_stated_in_one_order(study: Study) -> None:
    found = study.conflict(study.another(PatientSex="O", AccessionNumber="B88", PatientID="another"))
    assert found is not None
    assert found.attributes == ("PatientID", "PatientSex", "AccessionNumber")
    assert found.reason is WithdrawalReason.PATIENT_SAFETY


def test_an_old_id_among_the_other_ids_explains_the_new_one(study: Study) -> None:
    old = Dataset()
    old.PatientID = dcmread(study.first).PatientID
    assert study.conflict(study.another(PatientID="merged", OtherPatientIDsSequence=[old])) is None
    assert study.conflict(study.another(PatientID="merged", OtherPatientIDs=["x", old.PatientID])) is None


def test_two_patients_are_found_before_any_draft(study: Study) -> None:
    images = (
        instance_from_file(study.first), study.another(), study.another(PatientBirthDate="19010101"),
        study.another(StudyDescription="again"), study.another(PatientBirthDate="1901.01.01"),
    )  # fmt: skip
    found = IdentityWatch().find(StudySnapshot(images, StandingDrafts((), frozenset()), None, {}))
    assert found is not None
    assert found.attributes == ("PatientBirthDate",)
    digests = [image.data_set_sha256 for image in images]
    assert found.newer == (digests[2], digests[4]), "the decision keep leaves the first patient"
    assert found.older == (digests[0], digests[1], digests[3]), "the decision replace leaves the second"
    two_orders = (images[0], study.another(AccessionNumber="B88"))
    assert IdentityWatch().find(StudySnapshot(two_orders, StandingDrafts((), frozenset()), None, {})) is None


def test_requests_of_a_late_image_are_compared_too(study: Study) -> None:
    request = Dataset()
    request.AccessionNumber, request.RequestedProcedureID = "", "RP8"
    late = study.another(RequestAttributesSequence=[request])
    assert study.conflict(late) is None, "an order may have several procedures"
    request.AccessionNumber = "B88"
    for own in ("", "A77"):
        found = study.conflict(study.another(AccessionNumber=own, RequestAttributesSequence=[request]))
        assert found is not None
        assert (found.reason, found.attributes) == (WithdrawalReason.WORKLIST, ("AccessionNumber",))


@pytest.mark.parametrize("issuer", ["WARD", "WARD&1.2.3&ISO", "WARD^1.2.3^ISO", ""])
def test_an_issuer_is_the_same_in_the_form_of_hl7(issuer: str) -> None:
    header, other = Dataset(), Dataset()
    header.PatientID, header.IssuerOfPatientID = "1", "WARD"
    other.PatientID, other.IssuerOfPatientID = "1", issuer
    assert patient_difference_in_words([header, other]) is None


_OF_STUDY = {
    "SpecificCharacterSet", "StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "IssuerOfPatientID", "AccessionNumber", "StudyDescription", "RequestAttributesSequence",
}  # fmt: skip


class Aside:
    """A study of one image, with an object that was set aside under its SOP Instance UID."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = instance_from_file(write(folder / "kept.dcm", self.data_set()))

    def data_set(self) -> Dataset:
        """Return the kept object, a small image of the patient of Study."""
        whole = read_header(drafts.image(self.folder / "whole.dcm"))
        small = radiograph(
            ramp(*PLAIN), **{each.keyword: each.value for each in whole if each.keyword in _OF_STUDY}
        )
        small.file_meta.MediaStorageSOPInstanceUID = small.SOPInstanceUID
        return small

    def find(
        self, other: StoredInstance, policy: OnConflict = OnConflict.HOLD, *, has_draft: bool = False
    ) -> IdentityConflict | None:
        documents = Study(self.folder).documents if has_draft else ()
        aside = (OtherContent(other, self.kept.identity.sop_instance_uid),)
        study = StudySnapshot((self.kept,), StandingDrafts(documents, frozenset()), None, {}, aside)
        return IdentityWatch(on_conflict={"MODALITY": policy}.__getitem__).find(study)

    def other(self, data_set: Dataset | None = None, /, **changes: Any) -> StoredInstance:
        """Return an object like the kept one, or a given one, with other attributes."""
        data_set = data_set or self.data_set()
        for keyword, value in changes.items():
            setattr(data_set, keyword, value)
        path = write(self.folder / "other.dcm", data_set)
        return replace(instance_from_file(path), calling_ae_title="MODALITY")


@pytest.fixture
def aside(tmp_path: Path) -> Aside:
    return Aside(tmp_path)


@pytest.mark.parametrize(
    ("policy", "has_draft"), [(OnConflict.HOLD, False), (OnConflict.HOLD, True), (OnConflict.KEEP, False)]
)
@pytest.mark.parametrize(
    ("changes", "attributes", "reason"),
    [
        ({"PatientID": "X"}, ("PatientID",), WithdrawalReason.PATIENT_SAFETY),
        ({"PatientName": "Doe^Jane"}, ("PatientName",), WithdrawalReason.PATIENT_SAFETY),
        ({"StudyInstanceUID": "1.2.9"}, ("StudyInstanceUID",), WithdrawalReason.PATIENT_SAFETY),
        ({"AccessionNumber": "B88"}, ("AccessionNumber",), WithdrawalReason.WORKLIST),
        (
            {"PatientBirthDate": "19010101", "AccessionNumber": "B88", "StudyInstanceUID": "1.2.9"},
            ("PatientBirthDate", "AccessionNumber", "StudyInstanceUID"),
            WithdrawalReason.PATIENT_SAFETY,
        ),
    ],
)
def test_what_is_set_aside_contradicts_patient_and_order(
    aside: Aside,
    changes: dict[str, str],
    attributes: tuple[str, ...],
    reason: WithdrawalReason,
    policy: OnConflict,
    has_draft: bool,
) -> None:
    other = aside.other(**changes)
    found = aside.find(other, policy, has_draft=has_draft)
    assert found is not None
    assert (found.newer, found.older) == ((other.data_set_sha256,), (aside.kept.data_set_sha256,))
    assert (found.attributes, found.reason) == (attributes, reason)
    assert not [value for value in changes.values() if value in found.explanation]


@pytest.mark.parametrize(
    ("changes", "attributes"),
    [
        ({"ViewPosition": "LL"}, ("ViewPosition",)),
        ({"PatientOrientation": ["R", "F"]}, ("PatientOrientation",)),
        ({"StudyDescription": "another", "ViewPosition": ""}, ("StudyDescription", "ViewPosition")),
        ({"WindowCenter": "1", "WindowWidth": "2"}, ("WindowCenter", "WindowWidth")),
        ({"PixelData": b""}, ("PixelData",)),
    ],
)
def test_other_content_holds_only_if_the_peer_holds(
    aside: Aside, changes: dict[str, Any], attributes: tuple[str, ...]
) -> None:
    other = aside.other(**changes)
    found = aside.find(other)
    assert found is not None
    assert (found.attributes, found.reason) == (attributes, WithdrawalReason.QUALITY)
    assert aside.find(other, OnConflict.KEEP) is None
    assert aside.find(other, OnConflict.REPLACE) == found


def test_other_pixels_are_other_content(aside: Aside) -> None:
    pixels = bytearray(aside.data_set().PixelData)
    pixels[len(pixels) // 2] ^= 0x10
    found = aside.find(aside.other(PixelData=bytes(pixels)))
    assert found is not None
    assert found.attributes == ("PixelData",)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"InstitutionAddress": "moved", "StationName": "ROOM 2"},
        {"InstitutionName": "Hospital", "ReferringPhysicianName": "Other^Doctor", "StudyID": "7"},
        {"InstanceNumber": "2", "SeriesNumber": "3", "PatientWeight": "80"},
        {"SpecificCharacterSet": "ISO_IR 192"},
        {"IssuerOfPatientID": "", "PatientName": "BUC JEROME"},
        {"AccessionNumber": ""},
    ],
)
def test_what_no_draft_depends_on_is_no_other_content(aside: Aside, changes: dict[str, str]) -> None:
    data_set = aside.data_set()
    data_set.decode()
    data_set.private_block(0x0099, "ANY", create=True).add_new(1, "LO", "private")
    assert aside.find(aside.other(data_set, **changes)) is None


def test_the_same_image_in_another_transfer_syntax_is_no_other_content(aside: Aside) -> None:
    compressed = aside.data_set()
    compressed.compress(RLELossless)
    assert aside.find(aside.other(compressed)) is None
    values = ramp(*PLAIN)
    values[-24:, -24:] = 0
    compressed = aside.data_set()
    compressed.PixelData = values.astype("<u2").tobytes()
    compressed.compress(RLELossless)
    found = aside.find(aside.other(compressed))
    assert found is not None
    assert found.attributes == ("PixelData",)


def test_other_content_of_what_is_never_drafted_does_not_matter(aside: Aside) -> None:
    capture = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}
    aside.kept = aside.other(**capture)
    aside.kept.path.rename(aside.folder / "kept.dcm")
    aside.kept = replace(aside.kept, path=aside.folder / "kept.dcm")
    assert aside.find(aside.other(**capture, StudyDescription="another", PixelData=b"")) is None
    assert aside.find(aside.other(**capture, PatientID="X")) is not None


def test_an_object_set_aside_that_cannot_be_read_contradicts_nothing(aside: Aside) -> None:
    other = aside.other(PatientID="X")
    other.path.write_bytes(b"no longer DICOM")
    assert aside.find(other) is None


def test_it_is_compared_with_the_draft_if_the_kept_image_is_gone(aside: Aside) -> None:
    study, other = Study(aside.folder), aside.other(PatientID="X", AccessionNumber="B88")
    standing = StandingDrafts(study.documents, frozenset())
    contended = (OtherContent(other, other.identity.sop_instance_uid),)
    found = IdentityWatch().find(StudySnapshot((), standing, None, {}, contended))
    assert found is not None
    assert found.attributes == ("PatientID", "AccessionNumber")


def test_every_attribute_that_decides_about_the_display_is_compared() -> None:
    folder = Path(__file__).parents[4] / "echo_node" / "dicom" / "image"
    strings = {
        node.value
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    read = {each for each in strings if each and tag_for_keyword(each) is not None}
    of_items = {"LUTDescriptor", "LUTData"}
    assert read - of_items - {"PixelData", "TransferSyntaxUID"} <= {*HEADER_KEYWORDS, *DISPLAY_KEYWORDS}
