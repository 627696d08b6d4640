"""Decoding of every text of a header, nested ones included, as soon as the header is read.

pydicom would decode them later, by what the header states, and put values that it cannot decode into
its warnings. After this it finds no encoded text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag

from echo_node.dicom.characters.reading import Certainty, TextReader
from echo_node.dicom.characters.terms import DEFAULT_REPERTOIRE, CharacterSet, character_set

_SPECIFIC_CHARACTER_SET = 0x00080005
_LINES = ("LT", "ST", "UT")
_TEXTS = ("CS", "LO", "PN", "SH", "UC", *_LINES)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Result of decoding a header.

    Attributes:
        certainty: certainty of the least certain text.
        has_repaired: whether a text is in another character set than stated.
        unreadable: keywords of the attributes that cannot be read as a whole.
    """

    certainty: Certainty = Certainty.AS_STATED
    has_repaired: bool = False
    unreadable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _EncodedText:
    """An encoded text, and the data set that contains it."""

    data_set: Dataset
    tag: BaseTag
    vr: str
    value: bytes = field(repr=False)
    reader: TextReader


def decode_texts(header: Dataset, terms_of_sender: Sequence[str] = ()) -> Decoding:
    """Replace every encoded text in a header by its characters.

    Args:
        header: header whose elements were not accessed yet.
        terms_of_sender: Specific Character Set of the sender's objects that state none.
    """
    of_sender = character_set(terms_of_sender) if terms_of_sender else None
    stated = of_sender or DEFAULT_REPERTOIRE
    texts = list(_encoded_texts(header, TextReader(stated, of_sender)))
    has_utf_8 = any(each.reader.is_surely_utf_8(each.value) for each in texts)
    found: dict[str, Certainty] = {}
    for each in texts:
        keyword = keyword_for_tag(each.tag)
        found[keyword] = max(found.get(keyword, Certainty.AS_STATED), _decode(each, has_utf_8=has_utf_8))
    return Decoding(
        max(found.values(), default=Certainty.AS_STATED),
        Certainty.REPAIRED in found.values(),
        frozenset(each for each, certainty in found.items() if certainty is Certainty.UNREADABLE),
    )


def _encoded_texts(data_set: Dataset, reader: TextReader) -> Iterator[_EncodedText]:
    """Yield the texts of a data set and its items, which inherit its character set (PS3.5 7.5.3)."""
    stated = _stated(data_set)
    if stated is not None:
        reader = replace(reader, stated=stated)
        data_set[_SPECIFIC_CHARACTER_SET] = DataElement(_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192")
    for tag in list(data_set.keys()):
        element = data_set.get_item(tag)
        vr = _vr(element)
        if vr == "SQ":
            items = data_set[tag].value
            for item in items if isinstance(items, Items) else ():
                yield from _encoded_texts(item, reader)
        elif vr in _TEXTS and isinstance(element, RawDataElement) and element.value:
            yield _EncodedText(data_set, tag, vr, element.value, reader)


def _stated(data_set: Dataset) -> CharacterSet | None:
    """Return the character set that a data set states; None if it states none."""
    element = data_set.get_item(_SPECIFIC_CHARACTER_SET) if _SPECIFIC_CHARACTER_SET in data_set else None
    if not isinstance(element, RawDataElement) or not element.value or not element.value.strip(b" \0"):
        return None
    return character_set(element.value.decode("latin-1").split("\\"))


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
    values = [read.text] if encoded.vr in _LINES else [each.strip(" ") for each in read.text.split("\\")]
    encoded.data_set[encoded.tag] = DataElement(
        encoded.tag, encoded.vr, values if len(values) > 1 else values[0], validation_mode=IGNORE
    )
    return read.certainty
