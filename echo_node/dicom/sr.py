"""The draft as a DICOM object: Basic Text SR (PS3.3 A.35.1), for the PACS to keep beside the images.

Patient, study and order come from the header of the image that was read, re-encoded in UTF-8 whatever
that image used. The same inputs give the same bytes: time comes in through `at`, UIDs are digests.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone, tzinfo

from pydicom import dcmwrite
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, BasicTextSRStorage, ExplicitVRLittleEndian

from echo_node import __version__
from echo_node.dicom.header import read_header, text
from echo_node.dicom.orientation import patient_orientation
from echo_node.dicom.sr_codes import concept
from echo_node.dicom.sr_content import (
    DEMONSTRATION_NOTICE,
    MANUFACTURER,
    SHORT_DIGEST,
    content_tree,
)
from echo_node.dicom.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    document_uid,
    series_uid,
)
from echo_node.domain.report import EncodedDocument, ModelIdentity, Report
from echo_node.domain.study import Selection

KIND = "basic-text-sr"
SERIES_DESCRIPTION = "AI DRAFT - UNVERIFIED"
SERIES_NUMBER = 9901

_UNSTATED_ORIENTATION = (
    "The header does not state the orientation of the image: left and right assume that it is not mirrored."
)

_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
_TYPE_3 = (
    "IssuerOfPatientID", "OtherPatientIDsSequence", "PatientAge", "PatientSize", "PatientWeight",
    "StudyDescription", "IssuerOfAccessionNumberSequence", "InstitutionName", "TimezoneOffsetFromUTC",
)  # fmt: skip
_ORDER_TYPE_2 = (
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID", "RequestedProcedureDescription",
)  # fmt: skip
# Where an invalid value cannot be matched by anybody, and a validator counts it as an error.
_CHECKED_VRS = {"DA", "TM", "CS", "AS", "DS", "IS", "UI"}


class BasicTextEncoder:
    """Fulfils the ReportEncoder port.

    Args:
        zone: the time zone of dates and times where the image's header states none; the machine's by default.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone

    @property
    def kind(self) -> str:
        """The kind of the documents."""
        return KIND

    def encode(
        self,
        report: Report,
        selection: Selection,
        *,
        study_instance_uid: str,
        revision: int,
        at: datetime,
        predecessor: EncodedDocument | None = None,
    ) -> EncodedDocument:
        """Return the document; the same inputs give the same bytes.

        Args:
            report: the draft.
            selection: the images read and unread; at least one was read.
            study_instance_uid: the study that the document belongs to.
            revision: counts the study's drafts from 1.
            at: when the draft was made.
            predecessor: the document of an earlier revision that this one stands in for.

        Raises:
            PermanentError: the header of the image that was read cannot be read any more.
        """
        image = selection.images[0]
        header = read_header(image.instance.path)
        inputs = [each.instance.identity.sop_instance_uid for each in selection.images]
        document = Dataset()
        document.SpecificCharacterSet = "ISO_IR 192"
        _take_over(header, document)
        document.StudyInstanceUID = study_instance_uid
        _describe_series(document, report.model, study_instance_uid)
        document.SOPClassUID = BasicTextSRStorage
        document.SOPInstanceUID = document_uid(
            study_instance_uid, revision, report.model.digest, KIND, inputs
        )
        document.InstanceNumber = revision
        _date(document, at.astimezone(_offset(header) or self._zone))
        _describe_state(document)
        document.ReferencedRequestSequence = _order(header, study_instance_uid)
        if not document.ReferencedRequestSequence:
            del document.ReferencedRequestSequence
        document.CurrentRequestedProcedureEvidenceSequence = [_evidence(study_instance_uid, selection)]
        if predecessor is not None:
            document.PredecessorDocumentsSequence = [_reference_to(predecessor)]
        remarks = [] if patient_orientation(header) else [_UNSTATED_ORIENTATION]
        document.update(content_tree(report, selection.images, selection.unread, remarks))
        return EncodedDocument(
            kind=KIND,
            study_instance_uid=study_instance_uid,
            sop_instance_uid=str(document.SOPInstanceUID),
            sop_class_uid=str(BasicTextSRStorage),
            transfer_syntax_uid=str(ExplicitVRLittleEndian),
            part10=_written(document),
        )


def _take_over(header: Dataset, document: Dataset) -> None:
    """Copy what identifies patient, study and order; what type 2 demands and is absent becomes empty."""
    for keyword in _TYPE_2:
        _copy(header, document, keyword, or_empty=True)
    for keyword in _TYPE_3:
        _copy(header, document, keyword)


def _describe_series(document: Dataset, model: ModelIdentity, study_instance_uid: str) -> None:
    """Fill the SR Document Series and General Equipment modules (PS3.3 C.17.1, C.7.5.1)."""
    document.Modality = "SR"
    document.SeriesInstanceUID = series_uid(study_instance_uid, model.digest, KIND)
    document.SeriesNumber = SERIES_NUMBER
    document.SeriesDescription = SERIES_DESCRIPTION
    document.ReferencedPerformedProcedureStepSequence = []
    document.Manufacturer = MANUFACTURER
    document.ManufacturerModelName = model.name[:64]
    document.DeviceSerialNumber = model.digest[:SHORT_DIGEST]
    document.SoftwareVersions = [__version__, model.version[:64]]
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [concept("contributing_equipment", "processing_equipment")]
    equipment.Manufacturer = MANUFACTURER
    equipment.ManufacturerModelName = model.name[:64]
    equipment.SoftwareVersions = model.version[:64]
    equipment.DeviceSerialNumber = model.digest[:SHORT_DIGEST]
    equipment.ContributionDescription = f"Drafted the text. Checkpoint SHA-256 {model.digest}." + (
        f" {DEMONSTRATION_NOTICE}" if model.demonstration else ""
    )
    document.ContributingEquipmentSequence = [equipment]


def _describe_state(document: Dataset) -> None:
    """Say what the document is: incomplete, unverified, preliminary (PS3.3 C.17.2)."""
    document.CompletionFlag = "PARTIAL"
    document.CompletionFlagDescription = "Machine draft, to be completed by a radiologist"
    document.VerificationFlag = "UNVERIFIED"
    document.PreliminaryFlag = "PRELIMINARY"
    document.PerformedProcedureCodeSequence = []


def _date(document: Dataset, moment: datetime) -> None:
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    document.ContentDate = document.InstanceCreationDate = document.SeriesDate = date
    document.ContentTime = document.InstanceCreationTime = document.SeriesTime = time


def _offset(header: Dataset) -> tzinfo | None:
    """Return the zone that the image's own dates and times are in, and so ours must be."""
    match = re.fullmatch(r"([+-])(\d{2})(\d{2})", text(header, "TimezoneOffsetFromUTC"))
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    if minutes > 14 * 60:
        return None
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


def _order(header: Dataset, study_instance_uid: str) -> list[Dataset]:
    """Return the requests that the images were made for; none if the header knows of none."""
    requests = list(header.get("RequestAttributesSequence") or [])
    if not requests and not text(header, "AccessionNumber"):
        return []
    return [_request(request, header, study_instance_uid) for request in requests or [Dataset()]]


def _request(request: Dataset, header: Dataset, study_instance_uid: str) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study_instance_uid
    item.ReferencedStudySequence = []
    for keyword in ("AccessionNumber", *_ORDER_TYPE_2):
        _copy(request if keyword in request else header, item, keyword, or_empty=True)
    source = request if "RequestedProcedureCodeSequence" in request else header
    _copy(source, item, "RequestedProcedureCodeSequence", or_empty=True)
    return item


def _evidence(study_instance_uid: str, selection: Selection) -> Dataset:
    """List every image read, by series (PS3.3 C.17.2.3)."""
    series: dict[str, list[Dataset]] = {}
    for image in selection.images:
        identity = image.instance.identity
        reference = _sop_reference(identity.sop_class_uid, identity.sop_instance_uid)
        series.setdefault(identity.series_instance_uid, []).append(reference)
    return _study_item(study_instance_uid, series.items())


def _reference_to(predecessor: EncodedDocument) -> Dataset:
    header = read_header(io.BytesIO(predecessor.part10))
    reference = _sop_reference(predecessor.sop_class_uid, predecessor.sop_instance_uid)
    return _study_item(predecessor.study_instance_uid, [(text(header, "SeriesInstanceUID"), [reference])])


def _study_item(study_instance_uid: str, series: Iterable[tuple[str, list[Dataset]]]) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = study_instance_uid
    study.ReferencedSeriesSequence = []
    for uid, references in series:
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedSOPSequence = references
        study.ReferencedSeriesSequence.append(item)
    return study


def _sop_reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """Return an item that refers to one instance (PS3.3 10.8)."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    return reference


def _copy(source: Dataset, target: Dataset, keyword: str, *, or_empty: bool = False) -> None:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword  # noqa: S101 - the keywords are constants of this module
    element = _restated(source[tag]) if tag in source else None
    if element is None and or_empty:
        element = DataElement(tag, dictionary_VR(tag), [] if dictionary_VR(tag) == "SQ" else "")
    if element is not None:
        target[tag] = element


def _restated(element: DataElement) -> DataElement | None:
    """Return the element with its text decoded, to be written in UTF-8; None if it is empty or invalid."""
    if element.VR == "SQ":
        items = [_restated_item(item) for item in element.value]
        return DataElement(element.tag, "SQ", Sequence(items)) if items else None
    if element.is_empty:
        return None
    value = [str(each) for each in element.value] if element.VM > 1 else str(element.value)
    if element.VR in _CHECKED_VRS:
        try:
            return DataElement(element.tag, element.VR, value, validation_mode=RAISE)
        except ValueError:
            return None
    return DataElement(element.tag, element.VR, value)


def _restated_item(item: Dataset) -> Dataset:
    restated = Dataset()
    for element in item:
        again = _restated(element)
        if again is not None and element.keyword and element.keyword != "SpecificCharacterSet":
            restated[element.tag] = again
    return restated


def _written(document: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = document.SOPClassUID
    meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    document.file_meta = meta
    stream = io.BytesIO()
    dcmwrite(stream, document, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return stream.getvalue()
