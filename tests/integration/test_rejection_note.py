"""The note that withdraws drafts, in every language with every header: validator, reader, PACS."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import pytest
from integration import validators
from integration.orthanc import DICOMWEB, PROGRAM, Orthanc
from pydicom import dcmread
from support import drafts

from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.documents.rejection_note import SERIES_DESCRIPTION, RejectionNoteEncoder
from echo_node.dicom.scu.destinations import Destinations
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.withdrawal import WithdrawalReason, WithdrawnDrafts
from echo_node.settings import DocumentKind, Peer

pytestmark = [pytest.mark.external, pytest.mark.slow]

CASES = list(itertools.product(drafts.LANGUAGES, drafts.HEADERS))
KINDS = (DocumentKind.BASIC_TEXT_SR, DocumentKind.ENCAPSULATED_PDF, DocumentKind.SECONDARY_CAPTURE)
TITLES = {
    WithdrawalReason.QUALITY: ("113001", "Rejected for Quality Reasons"),
    WithdrawalReason.PATIENT_SAFETY: ("113037", "Rejected for Patient Safety Reasons"),
    WithdrawalReason.WORKLIST: ("113038", "Incorrect Modality Worklist Entry"),
    WithdrawalReason.RETENTION: ("113039", "Data Retention Policy Expired"),
}

Documents = tuple[EncodedDocument, ...]


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Documents]:
    """A draft in three forms of each case."""
    folder = tmp_path_factory.mktemp("drafts")
    made = {}
    for language, header in CASES:
        image = drafts.image(folder / f"{language}-{header}.dcm", language, header)
        draft = drafts.draft_of(image, drafts.report(language))
        made[language, header] = tuple(dicom_encoder(kind).encode(draft) for kind in KINDS)
    return made


def note_of(
    documents: Documents, reason: WithdrawalReason = WithdrawalReason.PATIENT_SAFETY
) -> EncodedDocument:
    return RejectionNoteEncoder().encode(WithdrawnDrafts(documents, ("pacs",), reason, drafts.AT))


@pytest.mark.parametrize("reason", WithdrawalReason)
@pytest.mark.parametrize(("language", "header"), CASES)
def test_it_is_valid_and_readable_and_names_every_draft(
    language: str,
    header: str,
    reason: WithdrawalReason,
    documents: dict[tuple[str, str], Documents],
    tmp_path: Path,
) -> None:
    drafted, path = documents[language, header], tmp_path / "note.dcm"
    path.write_bytes(note_of(drafted, reason).content)
    assert validators.dciodvfy_errors(path) == []
    code, meaning = TITLES[reason]
    assert meaning in validators.dump(path)
    note, report = dcmread(path), dcmread(io.BytesIO(drafted[0].content))
    assert (note.ConceptNameCodeSequence[0].CodeValue, note.Modality) == (code, "KO")
    assert note.ContentTemplateSequence[0].TemplateIdentifier == "2010"
    assert (note.SpecificCharacterSet, note.SeriesDescription) == ("ISO_IR 192", SERIES_DESCRIPTION)
    for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "StudyDate"):
        assert note.get(keyword) == report.get(keyword), keyword
    (study,) = note.CurrentRequestedProcedureEvidenceSequence
    listed = {
        (series.SeriesInstanceUID, each.ReferencedSOPClassUID, each.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }
    assert listed == {
        (found.SeriesInstanceUID, found.SOPClassUID, found.SOPInstanceUID)
        for found in (dcmread(io.BytesIO(each.content)) for each in drafted)
    }
    references = [item for item in note.ContentSequence if "ReferencedSOPSequence" in item]
    assert [item.ValueType for item in references] == ["COMPOSITE", "COMPOSITE", "IMAGE"]


def test_the_same_withdrawal_is_the_same_object(documents: dict[tuple[str, str], Documents]) -> None:
    drafted = documents["ja", "whole"]
    assert note_of(drafted) == note_of(drafted)
    uids = {note_of(drafted, reason).sop_instance_uid for reason in WithdrawalReason}
    assert len(uids | {note_of(drafted[:1]).sop_instance_uid}) == len(WithdrawalReason) + 1


@pytest.mark.skipif(PROGRAM is None or not DICOMWEB.exists(), reason="no Orthanc: make tools")
def test_a_pacs_takes_it_by_c_store_and_by_stow(documents: dict[tuple[str, str], Documents]) -> None:
    with Orthanc(dicomweb=True) as pacs:
        web = Peer(ae_title="PACS", stow_url=pacs.dicomweb_url)
        sender = Destinations("ECHO_NODE", {"pacs": pacs.peer, "web": web}, 60.0)
        for case, drafted in documents.items():
            for reason, peer in (
                (WithdrawalReason.PATIENT_SAFETY, "pacs"),
                (WithdrawalReason.WORKLIST, "web"),
            ):
                sent = note_of(drafted, reason)
                assert sender.send(sent, peer)[0] is DeliveryOutcome.SUCCESS, case
                note = dcmread(io.BytesIO(sent.content))
                uids = (note.StudyInstanceUID, note.SeriesInstanceUID, note.SOPInstanceUID)
                assert dcmread(io.BytesIO(pacs.wado(*map(str, uids)))) == note, case
