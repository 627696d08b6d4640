"""Whose images they are, in plain words: what every form of a draft says of patient and order."""

from __future__ import annotations

from pydicom.dataset import Dataset

from echo_node.dicom.attributes import requests, take_over, zone_of
from echo_node.dicom.header import read_header, text
from echo_node.dicom.image.orientation import patient_orientation
from echo_node.domain.drafts.draft import Code, Order, Subject
from echo_node.domain.studies.study import Selection


def read_subject(selection: Selection) -> Subject:
    """Fulfil the SubjectReader port.

    Raises:
        PermanentError: the header of the image that was read cannot be read any more.
    """
    return subject_of(read_header(selection.images[0].instance.path))


def subject_of(header: Dataset) -> Subject:
    """Return what a header says: the attributes that a document takes over, and as it takes them over."""
    taken = Dataset()
    take_over(header, taken)
    return Subject(
        patient_name=text(taken, "PatientName"),
        patient_id=text(taken, "PatientID"),
        issuer_of_patient_id=text(taken, "IssuerOfPatientID"),
        birth_date=text(taken, "PatientBirthDate"),
        sex=text(taken, "PatientSex"),
        referring_physician=text(taken, "ReferringPhysicianName"),
        study_date=text(taken, "StudyDate"),
        study_time=text(taken, "StudyTime"),
        study_description=text(taken, "StudyDescription"),
        orders=tuple(_order(item) for item in requests(header, "")) or (Order(),),
        zone=zone_of(header),
        is_oriented=bool(patient_orientation(header)),
    )


def _order(item: Dataset) -> Order:
    codes = item.RequestedProcedureCodeSequence
    return Order(
        text(item, "AccessionNumber"),
        text(item, "PlacerOrderNumberImagingServiceRequest"),
        text(item, "FillerOrderNumberImagingServiceRequest"),
        text(item, "RequestedProcedureID"),
        text(item, "RequestedProcedureDescription"),
        _code(codes[0]) if codes else None,
    )


def _code(item: Dataset) -> Code | None:
    code = Code(text(item, "CodeValue"), text(item, "CodingSchemeDesignator"), text(item, "CodeMeaning"))
    return code if code.value else None
