"""Attributes of patient, study and requests: read from a header, written into documents.

They are decoded when they are read, whatever character set the image uses, and written in UTF-8. A
document has every type 2 attribute, empty if the image lacks it. A value that is invalid for its
value representation becomes empty too, because no reader could match it.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from echo_node.dicom.header import text
from echo_node.domain.studies.attributes import Attribute, AttributeItem, StudyAttributes, text_of

_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
_TYPE_3 = (
    "IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight", "StudyDescription",
    "IssuerOfAccessionNumberSequence", "InstitutionName", "TimezoneOffsetFromUTC",
)  # fmt: skip
_OF_REQUESTS = (
    "AccessionNumber", "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
)  # fmt: skip
_OTHER_IDS = "OtherPatientIDsSequence"

_CHECKED_VRS = {"DA", "TM", "CS", "AS", "DS", "IS", "UI"}
"""VRs whose invalid values no reader can match, and validators report as errors."""

_TEXTUAL_VRS = _CHECKED_VRS | {"AE", "DT", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}


def study_attributes(header: Dataset) -> StudyAttributes:
    """Return the attributes that documents take over from a header."""
    always = [_of_type_2(header, keyword) for keyword in _TYPE_2]
    if_stated = [_of_type_3(header, keyword) for keyword in _TYPE_3]
    other_ids = _other_ids(header)
    return StudyAttributes(
        tuple(each for each in (*always, *if_stated, other_ids) if each is not None),
        tuple(_request(request, header) for request in _known_requests(header)),
    )


def take_over(attributes: StudyAttributes, document: Dataset) -> None:
    """Write the attributes of the patient and the study into a document."""
    document.update(_data_set(attributes.patient_and_study))


def requests(attributes: StudyAttributes, study_instance_uid: str) -> list[Dataset]:
    """Return the items of Referenced Request Sequence (PS3.3 C.17.2), if requests are known."""
    items = []
    for request in attributes.requests:
        item = _data_set(request)
        item.StudyInstanceUID = study_instance_uid
        item.ReferencedStudySequence = []
        items.append(item)
    return items


def _known_requests(header: Dataset) -> list[Dataset]:
    found = header.get("RequestAttributesSequence")
    known = list(found) if isinstance(found, Sequence) else []
    if not known and text(header, "AccessionNumber"):
        return [Dataset()]
    return known


def _request(request: Dataset, header: Dataset) -> AttributeItem:
    """Return the attributes of a request; the header itself states those that its item lacks."""
    return tuple(_of_type_2(request if each in request else header, each) for each in _OF_REQUESTS)


def _other_ids(header: Dataset) -> Attribute | None:
    """Return Other Patient IDs without empty ones, each with its required type (PS3.3 C.7.1.1)."""
    found = _of_type_3(header, _OTHER_IDS)
    if found is None:
        return None
    items = tuple(_typed(item) for item in found.items if text_of(item, "PatientID"))
    return Attribute(_OTHER_IDS, found.vr, items=items) if items else None


def _typed(item: AttributeItem) -> AttributeItem:
    if text_of(item, "TypeOfPatientID"):
        return item
    others = (each for each in item if each.keyword != "TypeOfPatientID")
    return (*others, Attribute("TypeOfPatientID", "CS", ("TEXT",)))


def _of_type_2(header: Dataset, keyword: str) -> Attribute:
    return _of_type_3(header, keyword) or Attribute(keyword, dictionary_VR(_tag(keyword)))


def _of_type_3(header: Dataset, keyword: str) -> Attribute | None:
    tag = _tag(keyword)
    return _decoded(header[tag]) if tag in header else None


def _decoded(element: DataElement) -> Attribute | None:
    """Return an element with its text decoded; None if it is empty, invalid or not text."""
    if element.VR == "SQ":
        items = tuple(_decoded_item(item) for item in element.value)
        return Attribute(element.keyword, "SQ", items=items) if items else None
    if element.is_empty or element.VR not in _TEXTUAL_VRS:
        return None
    values = tuple(str(each) for each in element.value) if element.VM > 1 else (str(element.value),)
    decoded = Attribute(element.keyword, element.VR, values)
    if element.VR in _CHECKED_VRS:
        try:
            _element(decoded, validation_mode=RAISE)
        except ValueError:
            return None
    return decoded


def _decoded_item(item: Dataset) -> AttributeItem:
    named = (each for each in item if each.keyword and each.keyword != "SpecificCharacterSet")
    unique = (each for each in named if tag_for_keyword(each.keyword) == each.tag)  # not one of 60xx
    return tuple(attribute for each in unique if (attribute := _decoded(each)) is not None)


def _data_set(item: Iterable[Attribute]) -> Dataset:
    data_set = Dataset()
    for attribute in item:
        element = _element(attribute)
        data_set[element.tag] = element
    return data_set


def _element(attribute: Attribute, validation_mode: int | None = None) -> DataElement:
    tag = _tag(attribute.keyword)
    if attribute.vr == "SQ":
        return DataElement(tag, "SQ", Sequence([_data_set(item) for item in attribute.items]))
    values = list(attribute.values) if len(attribute.values) > 1 else "".join(attribute.values)
    return DataElement(tag, attribute.vr, values, validation_mode=validation_mode)


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword  # noqa: S101 - keywords come from this module or from pydicom
    return tag
