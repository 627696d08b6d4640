"""Decoding of every text of a header, nested ones included, as soon as the header is read.

pydicom would decode them later, by what the header states, and put values that it cannot decode
into its warnings. After this it finds no encoded text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

from echo_node.dicom.characters.terms import DEFAULT_REPERTOIRE, CharacterSet, character_set
from echo_node.dicom.characters.text_reader import Certainty, TextReader
from echo_node.dicom.header_values import ELEMENT_ERRORS
from echo_node.domain.studies.study import HeaderRemark

_SPECIFIC_CHARACTER_SET = 0x00080005
_LINES = ("LT", "ST", "UT")
_IDENTIFIERS = (
    "PatientID", "IssuerOfPatientID", "AccessionNumber", "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest", "RequestedProcedureID", "StudyID",
)  # fmt: skip
"""Attributes that no part may be left out of: they stay encoded if they cannot be read."""
_CONTROL = re.compile(rb"[\x00-\x1a\x1c-\x1f\x7f]|\x1b(?![\x20-\x2f])")
_PADDING = b" \0\t\r\n\v\f"
_REMARKS = {
    Certainty.REPAIRED: HeaderRemark.REPAIRED_TEXT,
    Certainty.UNREADABLE: HeaderRemark.UNREADABLE_TEXT,
}
_TEXTS = ("CS", "LO", "PN", "SH", "UC", *_LINES)


@dataclass(frozen=True, slots=True)
class _EncodedText:
    """An encoded text, and the data set that contains it."""

    data_set: Dataset
    tag: BaseTag
    vr: str
    value: bytes = field(repr=False)
    reader: TextReader


def decode_texts(header: Dataset, terms_of_sender: Sequence[str] = ()) -> tuple[HeaderRemark, ...]:
    """Replace every encoded text in a header by its characters. Return remarks for the reader.

    Args:
        header: header whose elements were not accessed yet.
        terms_of_sender: Specific Character Set of the sender's objects that state none.
    """
    of_sender = character_set(terms_of_sender) if terms_of_sender else None
    texts = list(_encoded_texts(header, TextReader(of_sender or DEFAULT_REPERTOIRE, of_sender)))
    header[_SPECIFIC_CHARACTER_SET] = _unicode()
    has_utf_8 = any(each.reader.is_surely_utf_8(each.value) for each in texts)
    found = {_decode(each, has_utf_8=has_utf_8) for each in texts}
    return tuple(remark for certainty, remark in _REMARKS.items() if certainty in found)


def _encoded_texts(data_set: Dataset, reader: TextReader) -> Iterator[_EncodedText]:
    """Yield the texts of a data set and its items, which inherit its set (PS3.5 7.5.3)."""
    stated = _stated(data_set)
    if stated is not None:
        reader = replace(reader, stated=stated)
        data_set[_SPECIFIC_CHARACTER_SET] = _unicode()
    for tag in list(data_set.keys()):
        element = _element(data_set, tag)
        vr = _vr(element)
        if vr == "SQ":
            for item in _items(data_set, tag):
                yield from _encoded_texts(item, reader)
        elif vr in _TEXTS and isinstance(element, RawDataElement) and element.value:
            yield _EncodedText(data_set, tag, vr, element.value, reader)


def _unicode() -> DataElement:
    return DataElement(_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192")


def _items(data_set: Dataset, tag: BaseTag) -> list[Dataset]:
    """Return the items of a sequence; none if it is malformed."""
    try:
        value = data_set[tag].value
    except ELEMENT_ERRORS:
        return []
    return list(value) if isinstance(value, Items) else []


def _stated(data_set: Dataset) -> CharacterSet | None:
    """Return the character set that a data set states; None if it states none."""
    if _SPECIFIC_CHARACTER_SET not in data_set:
        return None
    value = data_set[_SPECIFIC_CHARACTER_SET].value
    terms = [str(term) for term in (value if isinstance(value, MultiValue) else [value or ""])]
    return character_set(terms) if any(term.strip(" \0") for term in terms) else None


def _element(data_set: Dataset, tag: BaseTag) -> DataElement | RawDataElement:
    return data_set.get_item(tag)


def _vr(element: DataElement | RawDataElement) -> str:
    """Return the VR of an element; for an unknown one, that of the dictionary."""
    if element.VR not in {None, "UN"}:
        return str(element.VR)
    return dictionary_VR(element.tag) if dictionary_has_tag(element.tag) else "UN"


def _decode(encoded: _EncodedText, *, has_utf_8: bool) -> Certainty:
    reader = replace(encoded.reader, has_utf_8=has_utf_8)
    if encoded.vr == "PN":
        read = reader.name(encoded.value)
    else:
        read = reader.text(encoded.value, has_lines=encoded.vr in _LINES)
    is_part = read.certainty is Certainty.UNREADABLE or _CONTROL.search(encoded.value.strip(_PADDING))
    if is_part and keyword_for_tag(encoded.tag) in _IDENTIFIERS:
        encoded.data_set[encoded.tag] = DataElement(encoded.tag, "OB", encoded.value)
        return read.certainty
    texts = [read.text] if encoded.vr in _LINES else [each.strip(" ") for each in read.text.split("\\")]
    values = [PersonName(each.encode(), ["utf_8"]) for each in texts] if encoded.vr == "PN" else texts
    encoded.data_set[encoded.tag] = DataElement(
        encoded.tag, encoded.vr, values if len(values) > 1 else values[0], validation_mode=IGNORE
    )
    return read.certainty
