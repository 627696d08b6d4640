"""Attributes of patient, study and requests: read from a header, written into documents.

They are decoded when they are read, whatever character set the image uses, and written in UTF-8. A
document has every type 2 attribute, empty if the image lacks it. Each value is valid for its value
representation (VR, PS3.5 6.2). What cannot be written validly is, by what it is for:

- values that identify: the study is held, since they are never shortened, split or guessed;
- descriptions: shortened;
- everything else: left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from echo_node.dicom.characters.iso_2022 import UNREADABLE
from echo_node.dicom.header import HEADER_KEYWORDS
from echo_node.dicom.header_values import (
    CODE_VALUES,
    age,
    day_text,
    has_value,
    is_stated,
    items,
    number,
    text,
    time_of_day,
    unreadable,
    values,
)
from echo_node.dicom.lookups import OF_A_REQUEST, OF_THE_STUDY, place_of, requests_in
from echo_node.domain.studies.attributes import Attribute, AttributeItem, StudyAttributes, text_of
from echo_node.domain.studies.identity import defined_sex
from echo_node.errors import MustBeHeld

_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
_TYPE_3 = (
    "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientAge", "PatientSize", "PatientWeight",
    "StudyDescription", "IssuerOfAccessionNumberSequence", "InstitutionName", "TimezoneOffsetFromUTC",
)  # fmt: skip
_OTHER_IDS = "OtherPatientIDsSequence"

IDENTIFYING = (
    "PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
)  # fmt: skip
"""Attributes that identify patient and order: they are written unchanged, or not at all."""

_DESCRIPTIONS = {
    "StudyDescription", "RequestedProcedureDescription", "InstitutionName", "CodeMeaning",
}  # fmt: skip
"""Texts that may be shortened."""

_ISSUER = ("LocalNamespaceEntityID", "UniversalEntityID", "UniversalEntityIDType")
_OF_ITEMS = {
    "IssuerOfPatientIDQualifiersSequence": _ISSUER[1:],
    "IssuerOfAccessionNumberSequence": _ISSUER,
    "RequestedProcedureCodeSequence": (
        *CODE_VALUES, "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning",
    ),
    _OTHER_IDS: ("PatientID", "IssuerOfPatientID", "TypeOfPatientID"),
}  # fmt: skip
"""Attributes that are taken over from the items of a sequence."""

_LENGTHS = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "UC": 1024, "UT": 10240}
"""Maximum number of characters by VR, or fewer if the VR has no practical limit."""
_SHORTENED_BYTES = 64
"""Size of a shortened text: some validators count bytes, not characters."""
_NAME_GROUPS, _NAME_COMPONENTS, _NAME_GROUP_LENGTH = 3, 5, 64

_CODE_STRING = re.compile(r"[A-Z0-9 _]{1,16}")
_DECIMAL_STRING = re.compile(r"[0-9+\-Ee.]{1,16}")
_OFFSET = re.compile(r"-(0\d|1[0-2])[0-5]\d|\+(0\d|1[0-4])[0-5]\d")
_ID_TYPES = {"TEXT", "RFID", "BARCODE"}
_SCHEMES = {"DNS", "EUI64", "ISO", "URI", "UUID", "X400", "X500"}


def study_attributes(header: Dataset) -> StudyAttributes:
    """Return the attributes that documents take over from a header.

    Raises:
        MustBeHeld: an identifying value cannot be written validly.
    """
    taken = _Taken()
    study = {keyword: place_of(places, header) or header for keyword, places in OF_THE_STUDY.items()}
    always = [taken.always(study.get(keyword, header), keyword) for keyword in _TYPE_2]
    if_stated = [taken.attribute(study.get(_OWNER.get(each, ""), header), each) for each in _TYPE_3]
    other_ids = taken.attribute(header, _OTHER_IDS)
    requests = dict.fromkeys(taken.request(item, header) for item in requests_in(header) or [Dataset()])
    ignored = {*unreadable(header, _REMARKED), *taken.lost}
    return StudyAttributes(
        tuple(each for each in (*always, *if_stated, other_ids) if each is not None),
        tuple(request for request in requests if any(each.values or each.items for each in request)),
        tuple(sorted(ignored)),
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


_OWNER = {"IssuerOfAccessionNumberSequence": "AccessionNumber"}
"""Attributes that qualify another one, and are read from the same data set."""

_UNREMARKED = {"SpecificCharacterSet", "ReferencedStudySequence"}
_REMARKED = [each for each in HEADER_KEYWORDS if each not in _UNREMARKED]


class _Taken:
    """Takes attributes over, and notes those that are left out or shortened.

    Attributes:
        lost: their keywords.
    """

    def __init__(self) -> None:
        self.lost: list[str] = []

    def always(self, data_set: Dataset, keyword: str) -> Attribute:
        """Return an attribute of type 2: empty without a value."""
        return self.attribute(data_set, keyword) or Attribute(keyword, dictionary_VR(_tag(keyword)))

    def attribute(self, data_set: Dataset, keyword: str) -> Attribute | None:
        """Return an attribute with its valid value; None without one.

        Raises:
            MustBeHeld: it identifies, and cannot be written validly.
        """
        vr = dictionary_VR(_tag(keyword))
        if vr == "SQ":
            found = tuple(filter(None, (self._item(item, keyword) for item in items(data_set, keyword))))
            return Attribute(keyword, "SQ", items=found) if found else None
        stated = text(data_set, keyword)
        if vr == "PN" and stated and not stated.strip(" ^=\\"):
            value = ""
        elif keyword in IDENTIFYING:
            value = _identifying(data_set, keyword, vr)
        else:
            value = _written(data_set, keyword, vr)
            if has_value(data_set, keyword) and (not value or _is_shortened(data_set, keyword, value)):
                self.lost.append(keyword)
        return Attribute(keyword, vr, (value,)) if value else None

    def request(self, request: Dataset, header: Dataset) -> AttributeItem:
        """Return the attributes of a request; the header states those that its item lacks."""
        places = {each: place_of(found, header, request) for each, found in OF_A_REQUEST.items()}
        accession = places["AccessionNumber"]
        issuer = "IssuerOfAccessionNumberSequence"
        qualified = None if accession is None else self.attribute(accession, issuer)
        known = [
            self.always(place or _stated_in(request, header, each), each) for each, place in places.items()
        ]
        return (*known, qualified) if qualified else tuple(known)

    def _item(self, item: Dataset, sequence: str) -> AttributeItem | None:
        """Return an item of a sequence; None if it lacks what its sequence requires."""
        try:
            found = tuple(
                attribute
                for keyword in _OF_ITEMS[sequence]
                if (attribute := self.attribute(item, keyword)) is not None
            )
        except MustBeHeld:  # another patient ID than the study's does not say whose draft it is
            found = ()
        whole = _WHOLE.get(sequence, _issuer)(found)
        if whole is None and any(has_value(item, keyword) for keyword in _OF_ITEMS[sequence]):
            self.lost.append(sequence)
        return whole


def _issuer(found: AttributeItem) -> AttributeItem | None:
    """Return an issuer, if it has a name, or a universal identifier with its type (PS3.3 10.14)."""
    if text_of(found, "UniversalEntityID") and text_of(found, "UniversalEntityIDType") in _SCHEMES:
        return found
    named = tuple(each for each in found if each.keyword == "LocalNamespaceEntityID")
    return named or None


def _code(found: AttributeItem) -> AttributeItem | None:
    """Return a code with one value, scheme and meaning (PS3.3 8.8)."""
    stated = [each.keyword for each in found if each.keyword in CODE_VALUES]
    is_whole = (
        stated
        and text_of(found, "CodeMeaning")
        and (text_of(found, "CodingSchemeDesignator") or stated[0] == "URNCodeValue")
    )
    return tuple(each for each in found if each.keyword not in stated[1:]) if is_whole else None


def _other_id(found: AttributeItem) -> AttributeItem | None:
    """Return another patient ID with its required type (PS3.3 C.7.1.1)."""
    if not text_of(found, "PatientID"):
        return None
    if text_of(found, "TypeOfPatientID") in _ID_TYPES:
        return found
    others = (each for each in found if each.keyword != "TypeOfPatientID")
    return (*others, Attribute("TypeOfPatientID", "CS", ("TEXT",)))


_WHOLE: dict[str, Callable[[AttributeItem], AttributeItem | None]] = {
    "RequestedProcedureCodeSequence": _code,
    _OTHER_IDS: _other_id,
}
"""Requirements on the items of a sequence; of other sequences, those of an issuer."""


def _stated_in(request: Dataset, header: Dataset, keyword: str) -> Dataset:
    """Return the data set that states an attribute, although none has a value that can be read."""
    return request if is_stated(request, keyword) else header


def _identifying(data_set: Dataset, keyword: str, vr: str) -> str:
    """Return an identifying value exactly as it was sent, without its padding.

    Raises:
        MustBeHeld: it cannot be written validly; the message does not repeat it.
    """
    found = values(data_set, keyword)
    if not found:
        if is_stated(data_set, keyword):
            raise _held(keyword, "cannot be read")
        return ""
    if len(found) > 1:
        raise _held(keyword, "has several values")
    value = found[0]
    if UNREADABLE in value:
        raise _held(keyword, "contains characters that cannot be read")
    if "\\" in value or any(unicodedata.category(each) in {"Cc", "Cs"} for each in value):
        raise _held(keyword, "contains control characters or a backslash")
    if vr == "PN" and not _is_name(value):
        raise _held(keyword, "is too long, or has too many parts")
    if vr != "PN" and len(value) > _LENGTHS[vr]:
        raise _held(keyword, f"is longer than {_LENGTHS[vr]} characters")
    return value


def _held(keyword: str, fault: str) -> MustBeHeld:
    return MustBeHeld(
        f"{keyword} {fault}, so that a draft cannot state it: correct it and send the study again", (keyword,)
    )


def _written(data_set: Dataset, keyword: str, vr: str) -> str:
    """Return a value that does not identify, as its VR requires; empty if that is not possible."""
    found = values(data_set, keyword)
    if not found:
        return ""
    match vr:
        case "DA":
            return day_text(data_set, keyword)
        case "TM":
            return time_of_day(data_set, keyword)
        case "AS":
            return _age(data_set, keyword)
        case "DS":
            return _decimal(data_set, keyword)
        case "PN":
            return found[0] if len(found) == 1 and _is_name(found[0]) else ""
        case "CS":
            return _code_string(keyword, text(data_set, keyword).upper())
    if any(UNREADABLE in each for each in found):
        return ""
    value = _clean("/".join(each for each in found if each))
    if keyword == "TimezoneOffsetFromUTC":
        return value if _OFFSET.fullmatch(value) else ""
    if keyword == "UniversalEntityID" or len(value) <= _LENGTHS[vr]:
        return value
    return _shortened(value) if keyword in _DESCRIPTIONS else ""


def _age(data_set: Dataset, keyword: str) -> str:
    stated = age(data_set, keyword)
    return f"{stated[0]:03}{stated[1]}" if stated else ""


def _decimal(data_set: Dataset, keyword: str) -> str:
    stated = number(data_set, keyword)
    if stated is None:
        return ""
    sent = text(data_set, keyword)
    return sent if _DECIMAL_STRING.fullmatch(sent) else f"{stated:.9g}"


def _code_string(keyword: str, value: str) -> str:
    if keyword == "PatientSex":
        return defined_sex(value)
    return value if _CODE_STRING.fullmatch(value) else ""


def _clean(value: str) -> str:
    """Return a text without control characters, as one value; breaks and tabs become spaces."""
    spaced = re.sub(r"[\t\n\v\f\r\x85]+", " ", value.replace("\\", "/"))
    return "".join(each for each in spaced if unicodedata.category(each) not in {"Cc", "Cs"}).strip()


def _shortened(value: str) -> str:
    """Return the start of a text, cut between characters."""
    return value.encode()[:_SHORTENED_BYTES].decode(errors="ignore").rstrip()


def _is_shortened(data_set: Dataset, keyword: str, value: str) -> bool:
    return keyword in _DESCRIPTIONS and len(value) < len(_clean(text(data_set, keyword)))


def _is_name(value: str) -> bool:
    """Return whether a value is one person name (PS3.5 6.2.1)."""
    groups = value.split("=")
    return (
        len(groups) <= _NAME_GROUPS
        and "\\" not in value
        and all(
            len(group) <= _NAME_GROUP_LENGTH
            and group.count("^") < _NAME_COMPONENTS
            and not any(unicodedata.category(each) in {"Cc", "Cs"} or each == UNREADABLE for each in group)
            for group in groups
        )
    )


def _data_set(item: Iterable[Attribute]) -> Dataset:
    data_set = Dataset()
    for attribute in item:
        element = _element(attribute)
        data_set[element.tag] = element
    return data_set


def _element(attribute: Attribute) -> DataElement:
    tag = _tag(attribute.keyword)
    if attribute.vr == "SQ":
        return DataElement(tag, "SQ", Sequence([_data_set(item) for item in attribute.items]))
    values = list(attribute.values) if len(attribute.values) > 1 else "".join(attribute.values)
    return DataElement(tag, attribute.vr, values)


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword  # noqa: S101 - keywords come from this module or from pydicom
    return tag
