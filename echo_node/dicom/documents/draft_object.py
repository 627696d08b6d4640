"""Common parts of all DICOM objects of a draft: Structured Reports, PDF, Secondary Capture.

Patient, study and order are those of the image that was read. The draft has its own series, whose
description says that it is a draft. The same inputs give the same bytes: the time is part of the
draft, and UIDs are digests of the inputs.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import datetime, tzinfo

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from echo_node import __version__, codes
from echo_node.dicom.attributes import take_over
from echo_node.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, series_uid
from echo_node.domain.drafts.draft import (
    BANNER,
    DEMONSTRATION_NOTICE,
    MANUFACTURER,
    SHORT_DIGEST,
    Draft,
)
from echo_node.domain.drafts.report import EncodedDocument, ModelIdentity
from echo_node.domain.drafts.subject import Code
from echo_node.domain.identifiers import document_uid
from echo_node.settings import DocumentKind

FIRST_SERIES_NUMBER = 9901
"""Series number of the first kind; it is high, so that the images come first."""


def begin(
    draft: Draft,
    kind: DocumentKind,
    *,
    sop_class_uid: str,
    modality: str,
    zone: tzinfo | None,
) -> Dataset:
    """Return the part of the object that all kinds have: patient, study, series, equipment, dates.

    Args:
        draft: the draft.
        kind: form of the object.
        sop_class_uid: SOP Class UID of the form.
        modality: modality of the series.
        zone: time zone if the image states none; None means the machine's.
    """
    study, model = draft.study_instance_uid, draft.report.model
    inputs = [each.instance.identity.sop_instance_uid for each in draft.selection.images]
    document = Dataset()
    document.SpecificCharacterSet = "ISO_IR 192"
    take_over(draft.attributes, document)
    document.StudyInstanceUID = study
    document.Modality = modality
    document.SeriesInstanceUID = series_uid(study, model.digest, kind)
    document.SeriesNumber = FIRST_SERIES_NUMBER + list(DocumentKind).index(kind)
    document.SeriesDescription = BANNER
    _describe_equipment(document, model)
    document.SOPClassUID = sop_class_uid
    document.SOPInstanceUID = document_uid(study, draft.revision, model.digest, kind, inputs)
    document.InstanceNumber = draft.revision
    date(document, draft.at.astimezone(draft.attributes.zone or zone))
    return document


def finish(document: Dataset, kind: str) -> EncodedDocument:
    """Return the object encoded."""
    return EncodedDocument(
        kind=kind,
        study_instance_uid=str(document.StudyInstanceUID),
        sop_instance_uid=str(document.SOPInstanceUID),
        sop_class_uid=str(document.SOPClassUID),
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
        content=_written(document),
    )


def code_item(code: Code) -> Dataset:
    """Return an item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def sop_reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """Return an item that refers to an instance (PS3.3 10.8)."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    return reference


def study_item(study_instance_uid: str, series: Iterable[tuple[str, list[Dataset]]]) -> Dataset:
    """Return an item that lists instances of a study by their series (PS3.3 C.17.2.1)."""
    study = Dataset()
    study.StudyInstanceUID = study_instance_uid
    study.ReferencedSeriesSequence = []
    for uid, references in series:
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedSOPSequence = references
        study.ReferencedSeriesSequence.append(item)
    return study


def date(document: Dataset, moment: datetime) -> None:
    """Set the dates and times of a document and its series to one moment."""
    day, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    document.ContentDate = document.InstanceCreationDate = document.SeriesDate = day
    document.ContentTime = document.InstanceCreationTime = document.SeriesTime = time


def source_references(draft: Draft) -> list[Dataset]:
    """Return a reference to each image that was read."""
    identities = [image.instance.identity for image in draft.selection.images]
    return [sop_reference(each.sop_class_uid, each.sop_instance_uid) for each in identities]


def _describe_equipment(document: Dataset, model: ModelIdentity) -> None:
    """Describe the program and the checkpoint that wrote the text (PS3.3 C.7.5.1, C.12.1)."""
    document.Manufacturer = MANUFACTURER
    document.ManufacturerModelName = model.name[:64]
    document.DeviceSerialNumber = model.digest[:SHORT_DIGEST]
    document.SoftwareVersions = [__version__, model.version[:64]]
    equipment = Dataset()
    purpose = codes.code("contributing_equipment", "processing_equipment")
    equipment.PurposeOfReferenceCodeSequence = [code_item(purpose)]
    equipment.Manufacturer = MANUFACTURER
    equipment.ManufacturerModelName = model.name[:64]
    equipment.SoftwareVersions = model.version[:64]
    equipment.DeviceSerialNumber = model.digest[:SHORT_DIGEST]
    equipment.ContributionDescription = f"Drafted the text. Checkpoint SHA-256 {model.digest}." + (
        f" {DEMONSTRATION_NOTICE}" if model.demonstration else ""
    )
    document.ContributingEquipmentSequence = [equipment]


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
