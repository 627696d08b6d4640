"""Key Object Selections of a peer, as files that were received."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage, generate_uid

from echo_node.dicom.instance_file import instance_from_file
from echo_node.domain.studies.study import StoredInstance

QUALITY, SAFETY, WORKLIST, RETENTION = "113001", "113037", "113038", "113039"
OF_INTEREST, FOR_TEACHING = "113000", "113004"


def key_object(title: str, images: list[StoredInstance]) -> Dataset:
    """Return a Key Object Selection that names images, in the form of TID 2010."""
    note = Dataset()
    note.SOPClassUID = KeyObjectSelectionDocumentStorage
    note.SOPInstanceUID = generate_uid()
    note.StudyInstanceUID = images[0].identity.study_instance_uid
    note.SeriesInstanceUID = generate_uid()
    note.Modality, note.ValueType, note.ContinuityOfContent = "KO", "CONTAINER", "SEPARATE"
    note.PatientID, note.PatientName = "", ""
    note.ConceptNameCodeSequence = [_code(title, "DCM")]
    described = Dataset()
    described.RelationshipType, described.ValueType, described.TextValue = "CONTAINS", "TEXT", "see title"
    described.ConceptNameCodeSequence = [_code("113012", "DCM")]
    note.ContentSequence = [described, *map(_content, images)]
    return note


def stored(note: Dataset, folder: Path, calling_ae_title: str = "PACS") -> StoredInstance:
    """Write a note to a file, and return it as an instance that a peer sent."""
    note.file_meta = FileMetaDataset()
    note.file_meta.MediaStorageSOPClassUID = note.SOPClassUID
    note.file_meta.MediaStorageSOPInstanceUID = note.SOPInstanceUID
    note.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{note.SOPInstanceUID}.dcm"
    note.save_as(path, enforce_file_format=True)
    return replace(instance_from_file(path), calling_ae_title=calling_ae_title)


def evidence(images: list[StoredInstance]) -> Dataset:
    """Return an item of Current Requested Procedure Evidence Sequence."""
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = images[0].identity.series_instance_uid
    series.ReferencedSOPSequence = [_reference(image) for image in images]
    study.StudyInstanceUID = images[0].identity.study_instance_uid
    study.ReferencedSeriesSequence = [series]
    return study


def _content(image: StoredInstance) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ReferencedSOPSequence = [_reference(image)]
    return item


def _reference(image: StoredInstance) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = image.identity.sop_class_uid
    reference.ReferencedSOPInstanceUID = image.identity.sop_instance_uid
    return reference


def _code(value: str, scheme: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, "title"
    return code
