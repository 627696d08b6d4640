"""Subject of a draft: patient and orders, in plain fields for text, messages and queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo

from echo_node.domain.studies.attributes import AttributeItem, StudyAttributes, text_of


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme, meaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Order:
    """One request that the images were made for. Fields not stated are empty."""

    accession_number: str = field(default="", repr=False)
    placer_number: str = field(default="", repr=False)
    filler_number: str = field(default="", repr=False)
    procedure_id: str = field(default="", repr=False)
    procedure_description: str = field(default="", repr=False)
    procedure_code: Code | None = field(default=None, repr=False)

    @classmethod
    def of(cls, request: AttributeItem) -> Order:
        """Return the order that an item for a request describes."""
        codes = next((each.items for each in request if each.keyword == "RequestedProcedureCodeSequence"), ())
        return cls(
            text_of(request, "AccessionNumber"),
            text_of(request, "PlacerOrderNumberImagingServiceRequest"),
            text_of(request, "FillerOrderNumberImagingServiceRequest"),
            text_of(request, "RequestedProcedureID"),
            text_of(request, "RequestedProcedureDescription"),
            _code(codes[0]) if codes else None,
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """Patient and orders of a study: patient data. Fields not stated are empty.

    Attributes:
        patient_name: person name (PS3.5 6.2.1): up to three component groups, separated by `=`.
        patient_id: patient ID.
        issuer_of_patient_id: issuer of the patient ID.
        birth_date: birth date, YYYYMMDD.
        sex: DICOM's code of the sex.
        referring_physician: person name.
        study_date: date of the study, YYYYMMDD.
        study_time: time of the study, HHMMSS with an optional fraction.
        study_description: description in the sender's words.
        orders: orders of the study, at least one.
        zone: time zone of the dates and times; None if not stated.
    """

    patient_name: str = field(repr=False)
    patient_id: str = field(repr=False)
    issuer_of_patient_id: str = field(repr=False)
    birth_date: str = field(repr=False)
    sex: str = field(repr=False)
    referring_physician: str = field(repr=False)
    study_date: str = field(repr=False)
    study_time: str = field(repr=False)
    study_description: str = field(repr=False)
    orders: tuple[Order, ...] = field(repr=False)
    zone: tzinfo | None

    @classmethod
    def of(cls, attributes: StudyAttributes) -> Subject:
        """Return the subject that the attributes of an image describe."""
        return cls(
            patient_name=attributes.text("PatientName"),
            patient_id=attributes.text("PatientID"),
            issuer_of_patient_id=attributes.text("IssuerOfPatientID"),
            birth_date=attributes.text("PatientBirthDate"),
            sex=attributes.text("PatientSex"),
            referring_physician=attributes.text("ReferringPhysicianName"),
            study_date=attributes.text("StudyDate"),
            study_time=attributes.text("StudyTime"),
            study_description=attributes.text("StudyDescription"),
            orders=tuple(Order.of(item) for item in attributes.requests) or (Order(),),
            zone=attributes.zone,
        )


def _code(item: AttributeItem) -> Code | None:
    code = Code(
        text_of(item, "CodeValue"), text_of(item, "CodingSchemeDesignator"), text_of(item, "CodeMeaning")
    )
    return code if code.value else None
