"""Identifying values of a header, for scrubbing reports, and the technical values that may be kept.

A value is kept if an allow-list names its attribute and it has the form of a technical value. All
others are dropped, including private attributes. This follows the intent of PS3.15 Annex E (Basic
Application Level Confidentiality Profile), which is about DICOM files; none is written here. Names
and dates are used only for scrubbing texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from echo_node.dicom.header_values import PARSE_ERRORS, day, items, text, values
from echo_node.errors import PermanentError

_NAMES = (
    "PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ResponsiblePerson",
    "ReferringPhysicianName", "ConsultingPhysicianName", "RequestingPhysician", "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy", "PhysiciansOfRecord", "OperatorsName", "ScheduledPerformingPhysicianName",
)  # fmt: skip
_IDENTIFIERS = (
    "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "AdmissionID", "StudyInstanceUID",
    "SeriesInstanceUID", "SOPInstanceUID", "RequestedProcedureID", "ScheduledProcedureStepID",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest", "PatientTelephoneNumbers", "DeviceSerialNumber",
)  # fmt: skip
_PLACES = (
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "PatientAddress",
    "CurrentPatientLocation",
)  # fmt: skip
_NESTED = ("OtherPatientIDsSequence", "RequestAttributesSequence", "ReferencedStudySequence")
_CODED = (
    "Modality", "PhotometricInterpretation", "ViewPosition", "BodyPartExamined", "PatientPosition",
    "PatientOrientation", "PatientSex", "BurnedInAnnotation", "LossyImageCompression", "PresentationLUTShape",
    "PixelIntensityRelationship", "DetectorType", "Grid",
)  # fmt: skip
_NUMBERS = (
    "Rows", "Columns", "BitsStored", "KVP", "ExposureTime", "XRayTubeCurrent", "Exposure",
    "DistanceSourceToDetector", "DistanceSourceToPatient", "ImagerPixelSpacing", "PixelSpacing",
    "LossyImageCompressionRatio",
)  # fmt: skip
_MAKERS = ("Manufacturer", "ManufacturerModelName")
_AGE, _DATE, _BURNED_IN = "PatientAge", "StudyDate", "BurnedInAnnotation"
_OLDEST_YEARS = 89

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_MAKER = re.compile(r"[A-Za-z][A-Za-z0-9 .,()/+-]{0,63}")


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Identifying values of a header: patient data, which must not be logged or kept.

    Attributes:
        patient_id: patient ID with its issuer; the Study Instance UID if there is no patient ID.
        study_instance_uid: UID of the study.
        accession_number: accession number; empty if there is none.
        names: words of the names of patient and staff.
        identifiers: numbers and UIDs, including telephone numbers.
        places: institutions, departments, addresses.
        burned_in: whether the header states that the pixels contain identifying text.
        study_date: date of the study; None if it is absent or invalid.
        technical: attributes of the allow-list whose values have a technical form.
    """

    patient_id: str = field(repr=False)
    study_instance_uid: str = field(repr=False)
    accession_number: str = field(repr=False)
    names: frozenset[str] = field(repr=False)
    identifiers: frozenset[str] = field(repr=False)
    places: frozenset[str] = field(repr=False)
    burned_in: bool
    study_date: date | None = field(repr=False)
    technical: dict[str, str]

    def kept_header(self, shift: timedelta) -> dict[str, str]:
        """Return the technical attributes, with the study's date moved by *shift*."""
        if self.study_date is None:
            return dict(self.technical)
        return self.technical | {_DATE: (self.study_date + shift).strftime("%Y%m%d")}


_TAGS = [
    int(tag)
    for keyword in (
        "SpecificCharacterSet", "IssuerOfPatientID", _AGE, _DATE, *_NAMES, *_IDENTIFIERS, *_PLACES, *_NESTED,
        *_CODED, *_NUMBERS, *_MAKERS,
    )
    if (tag := tag_for_keyword(keyword)) is not None
]  # fmt: skip


def read_identity(path: Path) -> PatientIdentity:
    """Return the identifying and the technical values of a DICOM file's header.

    Raises:
        PermanentError: it cannot be read; the message repeats no value.
    """
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        data_sets = [header, *_items(header)]
        patient = text(header, "PatientID")
        return PatientIdentity(
            patient_id=f"{text(header, 'IssuerOfPatientID')}\0{patient}"
            if patient
            else text(header, "StudyInstanceUID"),
            study_instance_uid=text(header, "StudyInstanceUID"),
            accession_number=text(header, "AccessionNumber"),
            names=frozenset(word for each in data_sets for word in _words(each)),
            identifiers=_collected(data_sets, _IDENTIFIERS),
            places=_collected(data_sets, _PLACES),
            burned_in=text(header, _BURNED_IN).upper() == "YES",
            study_date=day(header, _DATE),
            technical=_technical(header),
        )
    except OSError as error:
        raise PermanentError(f"the file cannot be read ({error.strerror or type(error).__name__})") from error
    except PARSE_ERRORS as error:
        raise PermanentError("the file is not a readable DICOM file") from error


def _items(header: Dataset) -> list[Dataset]:
    return [item for keyword in _NESTED for item in items(header, keyword)]


def _words(data_set: Dataset) -> list[str]:
    """Return the words of all names, alphabetic, ideographic and phonetic."""
    return [
        word
        for keyword in _NAMES
        for value in values(data_set, keyword)
        for word in re.split(r"[\^=\s,.]+", value)
        if word
    ]


def _collected(data_sets: list[Dataset], keywords: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        value for each in data_sets for keyword in keywords for value in values(each, keyword) if value
    )


def _technical(header: Dataset) -> dict[str, str]:
    kept = {}
    for keywords, form in ((_CODED, _CODE), (_NUMBERS, _NUMBER), (_MAKERS, _MAKER)):
        for keyword in keywords:
            found = values(header, keyword)
            if found and all(form.fullmatch(value) for value in found):
                kept[keyword] = "\\".join(found)
    if re.fullmatch(r"[0-9]{3}[YMWD]", age := text(header, _AGE)):
        is_very_old = age.endswith("Y") and int(age[:3]) > _OLDEST_YEARS
        kept[_AGE] = f"{_OLDEST_YEARS + 1:03}Y" if is_very_old else age
    return kept
