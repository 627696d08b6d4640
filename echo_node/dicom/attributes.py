"""Attributes of the image that was read, taken over into a document: patient, study, order.

Whatever character set the image uses, they are decoded here, to be written in UTF-8. What type 2 demands and
the image lacks becomes empty; a value that no reader could match becomes empty too.
"""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from echo_node.dicom.header import text

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


def take_over(header: Dataset, document: Dataset) -> None:
    """Copy what identifies patient and study."""
    for keyword in _TYPE_2:
        _copy(header, document, keyword, or_empty=True)
    for keyword in _TYPE_3:
        _copy(header, document, keyword)
    _mend_other_ids(document)


def requests(header: Dataset, study_instance_uid: str) -> list[Dataset]:
    """Return items for the requests that the images were made for (PS3.3 C.17.2); none if none is known."""
    known = list(header.get("RequestAttributesSequence") or [])
    if not known and not text(header, "AccessionNumber"):
        return []
    return [_request(request, header, study_instance_uid) for request in known or [Dataset()]]


def zone_of(header: Dataset) -> tzinfo | None:
    """Return the zone that the image's own dates and times are in, and so ours must be."""
    match = re.fullmatch(r"([+-])(\d{2})(\d{2})", text(header, "TimezoneOffsetFromUTC"))
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    if minutes > 14 * 60:
        return None
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


def _mend_other_ids(document: Dataset) -> None:
    """Leave out what names nobody, and give the others the type that is demanded (PS3.3 C.7.1.1)."""
    others = [item for item in document.get("OtherPatientIDsSequence", []) if text(item, "PatientID")]
    for item in others:
        if not text(item, "TypeOfPatientID"):
            item.TypeOfPatientID = "TEXT"
    document.OtherPatientIDsSequence = others
    if not others:
        del document.OtherPatientIDsSequence


def _request(request: Dataset, header: Dataset, study_instance_uid: str) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study_instance_uid
    item.ReferencedStudySequence = []
    for keyword in ("AccessionNumber", *_ORDER_TYPE_2):
        _copy(request if keyword in request else header, item, keyword, or_empty=True)
    source = request if "RequestedProcedureCodeSequence" in request else header
    _copy(source, item, "RequestedProcedureCodeSequence", or_empty=True)
    return item


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
