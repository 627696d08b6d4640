"""Note that withdraws drafts from a PACS: a Key Object Selection Document that rejects them.

Its title states the reason (IHE RAD TF, Imaging Object Change Management). An archive that supports
the profile hides the listed objects; another shows the note next to them. Patient, study and order
are those of the drafts. Only the content tree of highdicom's KeyObjectSelectionDocument is used:
the document itself copies the source's character set, uses the machine's clock, and fails if the
source lacks an attribute.
Source: PS3.3 A.35.4, C.17.6; PS3.16 TID 2010, CID 7010.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import tzinfo

from highdicom.ko import KeyObjectSelection
from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from echo_node import __version__
from echo_node.dicom.attributes import requests, study_attributes, take_over
from echo_node.dicom.documents import draft_object
from echo_node.dicom.documents.sr_codes import concept
from echo_node.dicom.header import read_header
from echo_node.dicom.header_values import text, whole_number
from echo_node.dicom.uids import device_uid, note_series_uid
from echo_node.domain.drafts.draft import MANUFACTURER
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.identifiers import derived_uid
from echo_node.domain.work.withdrawal import NoteKind, WithdrawnDrafts

SERIES_DESCRIPTION = "AI DRAFT - WITHDRAWN"
SERIES_NUMBER = draft_object.FIRST_SERIES_NUMBER - 1
_DESCRIPTION = (
    "WITHDRAWN. These documents are unverified machine drafts and have been taken back: nobody may rely on "
    "them. Reason: {reason}."
)


class RejectionNoteEncoder:
    """Implements the NoteEncoder port.

    Args:
        zone: time zone if the drafts state none; the machine's by default.
    """

    def __init__(self, *, zone: tzinfo | None = None) -> None:
        self._zone = zone

    def encode(self, rejected: WithdrawnDrafts) -> EncodedDocument:
        """Return the note; the same inputs give the same bytes.

        Raises:
            PermanentError: a draft cannot be read.
        """
        headers = [read_header(io.BytesIO(each.content)) for each in rejected.documents]
        newest, study = study_attributes(headers[-1]), rejected.documents[-1].study_instance_uid
        uids = sorted(each.sop_instance_uid for each in rejected.documents)
        title = concept("rejection", rejected.reason)
        note = Dataset()
        note.SpecificCharacterSet = "ISO_IR 192"
        take_over(newest, note)
        note.StudyInstanceUID = study
        note.Modality = "KO"
        note.SeriesInstanceUID = note_series_uid(study)
        note.SeriesNumber = SERIES_NUMBER
        note.SeriesDescription = SERIES_DESCRIPTION
        note.ReferencedPerformedProcedureStepSequence = []
        note.Manufacturer = note.ManufacturerModelName = MANUFACTURER
        note.DeviceSerialNumber = __version__
        note.SoftwareVersions = __version__
        note.SOPClassUID = KeyObjectSelectionDocumentStorage
        note.SOPInstanceUID = derived_uid("rejection note", [study, rejected.reason, *uids])
        note.InstanceNumber = max(whole_number(header, "InstanceNumber") or 1 for header in headers)
        draft_object.date(note, rejected.at.astimezone(newest.zone or self._zone))
        if orders := requests(newest, study):
            note.ReferencedRequestSequence = orders
        listed = list(zip(rejected.documents, headers, strict=True))
        note.CurrentRequestedProcedureEvidenceSequence = [_evidence(study, listed)]
        selection = KeyObjectSelection(
            title,
            [_reference(document, header) for document, header in listed],
            observer_device_context=_observer(),
            description=_DESCRIPTION.format(reason=title.meaning),
        )
        note.update(selection[0])
        note.ContinuityOfContent = "SEPARATE"
        return draft_object.finish(note, NoteKind.REJECTION_NOTE)


def _observer() -> ObserverContext:
    """Return the observer (TID 1004): this program, regardless of the model."""
    device = DeviceObserverIdentifyingAttributes(
        uid=device_uid(MANUFACTURER),
        name=f"{MANUFACTURER} {__version__}",
        manufacturer_name=MANUFACTURER,
        model_name=MANUFACTURER,
    )
    return ObserverContext(concept("observer", "device"), device)


def _reference(document: EncodedDocument, header: Dataset) -> Dataset:
    """Return the source of a reference in highdicom: IMAGE with rows, or else COMPOSITE."""
    reference = Dataset()
    reference.SOPClassUID, reference.SOPInstanceUID = document.sop_class_uid, document.sop_instance_uid
    if "Rows" in header:
        reference.Rows, reference.Columns = header.Rows, header.Columns
    return reference


def _evidence(study_instance_uid: str, listed: Sequence[tuple[EncodedDocument, Dataset]]) -> Dataset:
    """List the drafts, by series (PS3.3 C.17.2.3)."""
    series: dict[str, list[Dataset]] = {}
    for document, header in listed:
        reference = draft_object.sop_reference(document.sop_class_uid, document.sop_instance_uid)
        series.setdefault(text(header, "SeriesInstanceUID"), []).append(reference)
    return draft_object.study_item(study_instance_uid, series.items())
