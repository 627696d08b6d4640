"""The forms of a draft that are DICOM objects: the same content, and distinct objects."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from highdicom.sr import Comprehensive3DSR, ComprehensiveSR, EnhancedSR
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from support import drafts

from echo_node.dicom.contexts import contexts
from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.documents.sr import StructuredReportEncoder
from echo_node.dicom.documents.sr_reader import read_report, read_sections
from echo_node.dicom.library_settings import configure_libraries
from echo_node.domain.drafts.draft import BANNER, Draft, compose
from echo_node.domain.drafts.fixed_texts import ENGLISH
from echo_node.domain.drafts.report import EncodedDocument, Generation, Report, Sentence
from echo_node.domain.studies.study import HeaderRemark, ImageKind, StoredInstance
from echo_node.settings import DocumentKind, Settings
from echo_node.wiring.destinations import encoder

Store = Callable[..., StoredInstance]
DICOM = [kind for kind in DocumentKind if kind is not DocumentKind.ORU_R01]
REPORTS = [kind for kind in DICOM if kind.value.endswith("-sr")]


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    return drafts.draft_of(drafts.image(tmp_path / "image.dcm"))


def opened(document: EncodedDocument) -> Dataset:
    return dcmread(io.BytesIO(document.content))


REMARKS = (
    ENGLISH.recognised_body_part, ENGLISH.recognised_view, ENGLISH.looks_doubtful, ENGLISH.looks_mirrored,
    ENGLISH.companion, ENGLISH.other_display, ENGLISH.range_displayed, ENGLISH.padding_ignored,
)  # fmt: skip


def with_remarks(draft: Draft) -> Draft:
    """Return the draft of an image on which there is everything to remark."""
    (image,) = draft.selection.images
    seen = replace(
        image,
        is_view_stated=False,
        is_body_part_stated=False,
        looks_doubtful=True,
        looks_mirrored=True,
        kind=ImageKind(companion="expiration"),
        header_remarks=tuple(HeaderRemark),
    )
    return replace(draft, selection=replace(draft.selection, images=(seen,)))


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed: make tools")
def test_a_page_says_how_the_view_was_recognised(draft: Draft, tmp_path: Path) -> None:
    document = opened(dicom_encoder(DocumentKind.ENCAPSULATED_PDF).encode(with_remarks(draft)))
    path = tmp_path / "draft.pdf"
    path.write_bytes(document.EncapsulatedDocument)
    shown = subprocess.run(
        ["pdftotext", "-enc", "UTF-8", str(path), "-"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    for remark in REMARKS:
        assert remark in " ".join(shown.split())


@pytest.mark.parametrize("kind", [*REPORTS, DocumentKind.ORU_R01])
def test_every_form_in_words_says_how_the_view_was_recognised(kind: DocumentKind, draft: Draft) -> None:
    before, after = (encoder(kind, Settings()).encode(each).content for each in (draft, with_remarks(draft)))
    for remark in REMARKS:
        assert remark.encode() not in before
        assert remark.encode() in after


@pytest.mark.parametrize("kind", DICOM)
class TestEveryForm:
    def test_says_what_it_is_wherever_it_is_listed(self, kind: DocumentKind, draft: Draft) -> None:
        document = opened(dicom_encoder(kind).encode(draft))
        assert document.SeriesDescription == BANNER == "AI DRAFT - UNVERIFIED"
        assert document.get("VerificationFlag", "UNVERIFIED") == "UNVERIFIED"
        assert document.Manufacturer == "echo-node"
        assert draft.report.model.digest in document.ContributingEquipmentSequence[0].ContributionDescription
        assert document.SpecificCharacterSet == "ISO_IR 192"

    def test_is_the_same_object_when_made_again(self, kind: DocumentKind, draft: Draft) -> None:
        first = dicom_encoder(kind).encode(draft)
        assert dicom_encoder(kind).encode(draft) == first
        assert opened(first).SOPInstanceUID == first.sop_instance_uid
        later = dicom_encoder(kind).encode(replace(draft, revision=2), predecessor=first)
        assert later.sop_instance_uid != first.sop_instance_uid
        assert opened(later).SeriesInstanceUID == opened(first).SeriesInstanceUID

    def test_is_proposed_to_peers(self, kind: DocumentKind, draft: Draft) -> None:
        document = dicom_encoder(kind).encode(draft)
        assert document.kind == kind
        assert document.is_dicom
        assert document.sop_class_uid in {each.uid for each in contexts().sent}


@pytest.mark.parametrize("uid", ["1.2.840.113619.2.5.0017", "1.2.3." + "4" * 120, "1.2.840.113619.2.55."])
@pytest.mark.parametrize("kind", [*DICOM, DocumentKind.ORU_R01])
def test_uids_that_break_the_standard_are_referred_to_as_they_are(
    kind: DocumentKind, uid: str, tmp_path: Path
) -> None:
    configure_libraries()
    image = dcmread(drafts.image(tmp_path / "image.dcm"))
    image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = f"{uid}1", f"{uid}2", f"{uid}3"
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.save_as(tmp_path / "odd.dcm")
    document = encoder(kind, Settings()).encode(drafts.draft_of(tmp_path / "odd.dcm"))
    assert document.study_instance_uid == f"{uid}1"
    assert f"{uid}1".encode() in document.content
    if document.is_dicom:
        assert opened(document).StudyInstanceUID == f"{uid}1"
        assert f"{uid}3".encode() in document.content
    if kind in REPORTS:
        (study,) = opened(document).CurrentRequestedProcedureEvidenceSequence
        (series,) = study.ReferencedSeriesSequence
        assert study.StudyInstanceUID == f"{uid}1"
        assert series.SeriesInstanceUID == f"{uid}2"
        assert [each.ReferencedSOPInstanceUID for each in series.ReferencedSOPSequence] == [f"{uid}3"]


def test_no_two_forms_share_an_object_or_a_series(draft: Draft) -> None:
    made = [dicom_encoder(kind).encode(draft) for kind in DICOM]
    headers = [opened(each) for each in made]
    assert len({each.sop_instance_uid for each in made}) == len(DICOM)
    assert len({header.SeriesInstanceUID for header in headers}) == len(DICOM)
    assert sorted(int(header.SeriesNumber) for header in headers) == list(range(9901, 9901 + len(DICOM)))
    assert {each.study_instance_uid for each in made} == {draft.study_instance_uid}


def test_no_form_names_the_patient_with_more_than_the_report_does(draft: Draft) -> None:
    def patient(kind: DocumentKind) -> dict[str, str]:
        document = opened(dicom_encoder(kind).encode(draft))
        groups = {0x0010, 0x0032, 0x0040}
        return {
            each.keyword: str(each.value)
            for each in document
            if each.tag.group in groups or each.keyword in {"AccessionNumber", "InstitutionName", "StudyID"}
            if each.VR in {"PN", "LO", "SH", "DA", "AS", "CS", "LT"} and "Flag" not in each.keyword
        }

    report = patient(DocumentKind.BASIC_TEXT_SR)
    assert report["PatientName"] == "Buc^Jérôme^^Dr.^PhD"
    for kind in (DocumentKind.ENCAPSULATED_PDF, DocumentKind.SECONDARY_CAPTURE):
        assert patient(kind).items() <= report.items()


@pytest.mark.parametrize("kind", REPORTS)
class TestReports:
    def test_are_partial_unverified_and_preliminary(self, kind: DocumentKind, draft: Draft) -> None:
        document = opened(StructuredReportEncoder(kind).encode(draft))
        assert document.CompletionFlag == "PARTIAL"
        assert document.VerificationFlag == "UNVERIFIED"
        assert document.PreliminaryFlag == "PRELIMINARY"
        assert "VerifyingObserverSequence" not in document

    def test_name_the_draft_that_they_stand_in_for(self, kind: DocumentKind, draft: Draft) -> None:
        encoder = StructuredReportEncoder(kind)
        first = encoder.encode(draft)
        (study,) = opened(encoder.encode(replace(draft, revision=2), first)).PredecessorDocumentsSequence
        (reference,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == first.sop_instance_uid
        assert reference.ReferencedSOPClassUID == first.sop_class_uid

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        findings=st.lists(
            st.builds(Sentence, st.text(max_size=60), st.none() | st.floats(0, 1)), min_size=1, max_size=3
        ),
        impression=st.lists(st.builds(Sentence, st.text(max_size=60)), max_size=2),
        language=st.sampled_from(drafts.LANGUAGES),
    )
    def test_any_text_comes_back_as_it_went_in(
        self,
        kind: DocumentKind,
        stored: Store,
        findings: list[Sentence],
        impression: list[Sentence],
        language: str,
    ) -> None:
        made = Report(
            tuple(findings), tuple(impression), language, drafts.MODEL, Generation("one_step", 1, 1, 0.1)
        )
        draft = drafts.draft_of(stored().path, made)
        content = StructuredReportEncoder(kind).encode(draft).content
        expected = compose(draft)
        paragraphs = [text for section in expected.sections for text in section.paragraphs]
        assert [text for section in read_sections(content) for text in section.texts] == paragraphs
        # Besides them a report holds the texts that say who observed.
        assert [text for _, text in read_report(content).texts][4:] == paragraphs
        assert dcmread(io.BytesIO(content)).ContentSequence[0].ConceptCodeSequence[0].CodeValue == language


@pytest.mark.parametrize(
    ("kind", "reader"),
    [
        (DocumentKind.ENHANCED_SR, EnhancedSR),
        (DocumentKind.COMPREHENSIVE_SR, ComprehensiveSR),
        (DocumentKind.COMPREHENSIVE_3D_SR, Comprehensive3DSR),
    ],
)
def test_highdicom_takes_them_for_its_own(kind: DocumentKind, reader: type, draft: Draft) -> None:
    document = reader.from_dataset(opened(StructuredReportEncoder(kind).encode(draft)))  # type: ignore[attr-defined]
    template = "1500" if kind is DocumentKind.COMPREHENSIVE_3D_SR else "2000"
    assert document.ContentTemplateSequence[0].TemplateIdentifier == template
    assert document.content[0].ContentSequence


def test_a_measurement_report_measures_nothing_and_shows_what_was_read(draft: Draft) -> None:
    document = opened(StructuredReportEncoder(DocumentKind.COMPREHENSIVE_3D_SR).encode(draft))
    assert document.ConceptNameCodeSequence[0].CodeValue == "126000"
    headings = [
        item.ConceptNameCodeSequence[0].CodeMeaning
        for item in document.ContentSequence
        if item.ValueType == "CONTAINER"
    ]
    assert headings == ["Image Library", "Qualitative Evaluations"]
    library = next(item for item in document.ContentSequence if item.ValueType == "CONTAINER")
    (picture,) = library.ContentSequence[0].ContentSequence
    read = draft.selection.primary.instance.identity.sop_instance_uid
    assert picture.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == read
