"""Values of a header, read as what they mean; the only code that touches pydicom's values.

A peer may send any value under any tag: text for a sequence, several values for one, "01" or "1,5"
for a number, a date as 1970.01.31. Every function returns what the value certainly means, and
nothing for the rest. None of them raises an exception. `unreadable` names the attributes whose
value was ignored, so that the log and the draft can mention them.

The bytes of a text are decoded into characters by pydicom, when an element is first accessed
(`_element`).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable
from datetime import date
from functools import cache
from typing import TypeAlias

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

PARSE_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    AssertionError,
    struct.error,
    LookupError,
    ArithmeticError,
)
"""Exceptions of pydicom for malformed data."""

ELEMENT_ERRORS = (*PARSE_ERRORS, OSError)
"""Exceptions for a malformed element whose bytes were read: OSError, if a sequence is cut off."""

Code: TypeAlias = tuple[str, str]
"""Coding scheme designator and code value (PS3.3 8.1 and 8.2)."""

CODE_VALUES = ("CodeValue", "LongCodeValue", "URNCodeValue")
"""Attributes of a code item that contain its value (PS3.3 8.1): the first with a value counts."""

_PADDING = " \0\t\r\n\v\f"
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]*")
_NUMBERS_AS_TEXT = {"IS", "DS"}
_NUMBER = re.compile(r"[+-]?(\d{1,32}([.,]\d{0,32})?|[.,]\d{1,32})([eE][+-]?\d{1,4})?", re.ASCII)
_DATE = re.compile(r"(\d{4})([-./ ]?)(\d{2})\2(\d{2})", re.ASCII)
_DATE_IN_A_TIME = re.compile(r"(\d{8})\d{2,6}(\.\d{1,6})?([+-]\d{4})?", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])(?:(:?)([0-5]\d)(?:\2([0-5]\d)(?:\.(\d{1,6})\d*)?)?)?", re.ASCII)
_AGE = re.compile(r"0*(\d{1,3}) ?([DWMY])?", re.ASCII)
_OLDEST_YEARS, _YEARS = 130, range(1850, 2200)
DAYS_IN = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
"""Length of a unit of age (PS3.5 6.2), in days."""


def text(header: Dataset, keyword: str) -> str:
    """Return an attribute as one string, its values joined by backslashes; empty if absent."""
    return "\\".join(values(header, keyword))


def values(header: Dataset, keyword: str) -> list[str]:
    """Return the values of an attribute as stripped strings; none if it is absent or blank.

    A value of blanks and control characters alone counts as empty, and so does a list of those.
    """
    element = _element(header, keyword)
    if element is None:
        return []
    found = [_stripped(each) for each in _as_list(element)]
    return found if any(found) else []


def numbers(header: Dataset, keyword: str) -> list[float]:
    """Return the values of a numeric attribute; none if one of them is not a number."""
    found = each_number(header, keyword)
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else []


def each_number(header: Dataset, keyword: str) -> list[float | None]:
    """Return the values of a numeric attribute in their places; None for one that is no number."""
    return [_number(each) for each in values(header, keyword)]


def number(header: Dataset, keyword: str) -> float | None:
    """Return the one number of an attribute; None if it is absent, not a number, or several."""
    found = set(numbers(header, keyword))
    return found.pop() if len(found) == 1 else None


def whole_number(header: Dataset, keyword: str) -> int | None:
    """Return the one whole number of an attribute, also of "01" or "1.0"; None otherwise."""
    found = number(header, keyword)
    return int(found) if found is not None and found == int(found) else None


def day(header: Dataset, keyword: str) -> date | None:
    """Return the one date of an attribute, also in the form of ACR-NEMA (1970.01.31)."""
    found = set(values(header, keyword))
    return _date(found.pop()) if len(found) == 1 else None


def day_text(header: Dataset, keyword: str) -> str:
    """Return the one date of an attribute as YYYYMMDD; empty without a valid one."""
    found = day(header, keyword)
    return found.isoformat().replace("-", "") if found else ""


def time_of_day(header: Dataset, keyword: str) -> str:
    """Return the one time of an attribute as HHMMSS, as precise as it is; empty without one."""
    found = set(values(header, keyword))
    return _time(found.pop()) if len(found) == 1 else ""


def age(header: Dataset, keyword: str = "PatientAge") -> tuple[int, str] | None:
    """Return an age and its unit, one of D, W, M, Y; None if it is absent or not certain.

    An age without a unit is in years. 000Y is what systems send for an unknown age.
    """
    found = set(values(header, keyword))
    return _age(found.pop()) if len(found) == 1 else None


def items(header: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; none if it is absent, or not a sequence."""
    element = _element(header, keyword)
    if element is None or not isinstance(element.value, Sequence):
        return []
    return list(element.value)


def codes(header: Dataset, keyword: str) -> list[Code]:
    """Return the codes of a code sequence, without items that have no code value."""
    found = [
        (text(item, "CodingSchemeDesignator"), first_text((item,), CODE_VALUES))
        for item in items(header, keyword)
    ]
    return [code for code in found if code[1]]


def first_text(data_sets: Iterable[Dataset], keywords: Iterable[str]) -> str:
    """Return the first attribute with a value: keyword by keyword, and data set by data set."""
    named = list(keywords)
    return next(filter(None, (text(each, keyword) for each in data_sets for keyword in named)), "")


def is_stated(header: Dataset, keyword: str) -> bool:
    """Return whether an attribute is present and not blank, whatever its value means."""
    element = _element(header, keyword)
    if element is None:
        return False
    if isinstance(element.value, Sequence):
        return any(len(item) for item in element.value)
    if isinstance(element.value, bytes):
        return bool(element.value.strip(b" \0"))
    return any(map(_stripped, _as_list(element)))


def has_value(header: Dataset, keyword: str) -> bool:
    """Return whether an attribute has a value that can be read, or an item with one."""
    return bool(values(header, keyword)) or any(
        values(item, name) for item in items(header, keyword) for name in _names(item)
    )


def unreadable(header: Dataset, keywords: Iterable[str]) -> list[str]:
    """Return the attributes among *keywords* that have a value which is ignored."""
    return [each for each in keywords if is_stated(header, each) and not _is_readable(header, each)]


def decode_all(header: Dataset) -> None:
    """Decode every element of a data set now. A malformed one costs no other its value."""
    for tag in list(header.keys()):
        _decoded(header, tag)


def _is_readable(header: Dataset, keyword: str) -> bool:
    """Return whether a value can be what the tag's value representation says."""
    tag = _tag(keyword)
    if tag is None:
        return True
    vr = dictionary_VR(tag)
    if vr == "SQ":
        return bool(items(header, keyword))
    if vr in _READERS:
        return all(_READERS[vr](each) for each in values(header, keyword)) and _is_of_vm(header, keyword, tag)
    return _is_of_vm(header, keyword, tag)


def _is_of_vm(header: Dataset, keyword: str, tag: BaseTag) -> bool:
    found = values(header, keyword)
    return bool(found) and (dictionary_VM(tag) != "1" or len(set(found)) == 1)


def _names(item: Dataset) -> list[str]:
    return [name for name in map(keyword_for_tag, item.keys()) if name]


@cache
def _tag(keyword: str) -> BaseTag | None:
    tag = tag_for_keyword(keyword)
    return None if tag is None else BaseTag(tag)


def _element(header: Dataset, keyword: str) -> DataElement | None:
    tag = _tag(keyword)
    return None if tag is None or tag not in header else _decoded(header, tag)


def _decoded(header: Dataset, tag: BaseTag) -> DataElement:
    """Return an element, decoded on first access; a malformed one is kept as its text or bytes."""
    try:
        return header[tag]
    except ELEMENT_ERRORS:
        raw = header.get_item(tag)
        value = raw.value if isinstance(raw.value, bytes) else b""
        sent_as = raw.VR
        if (dictionary_VR(tag) if sent_as in {None, "UN"} else sent_as) in _NUMBERS_AS_TEXT:
            found = DataElement(tag, "UT", value.decode("ascii", "replace"))
        else:
            found = DataElement(tag, "OB", value)  # pydicom converts UN by its dictionary
        header[tag] = found
        return found


def _as_list(element: DataElement) -> list[str]:
    """Return the values of an element that is text or numbers, as strings; none of another one."""
    value = element.value
    if value is None or isinstance(value, bytes | Sequence | Dataset):
        return []
    many = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    found = []
    for each in many:
        if isinstance(each, bytes | Dataset):
            return []
        try:
            found.append("" if each is None else str(each))
        except PARSE_ERRORS:
            return []
    return "\\".join(found).split("\\") if element.VR == "UT" else found


def _stripped(value: str) -> str:
    stripped = value.strip(_PADDING)
    return "" if _BLANK.fullmatch(stripped) else stripped


def _number(value: str) -> float | None:
    if not _NUMBER.fullmatch(value):
        return None
    found = float(value.replace(",", "."))
    return found if math.isfinite(found) else None


def _date(value: str) -> date | None:
    match = _DATE.fullmatch(value)
    digits = "".join(match.group(1, 3, 4)) if match else ""
    if match is None and (in_a_time := _DATE_IN_A_TIME.fullmatch(value)):
        digits = in_a_time[1]
    try:
        found = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if digits else None
    except ValueError:
        return None
    return found if found and found.year in _YEARS else None


def _time(value: str) -> str:
    match = _TIME.fullmatch(value)
    if match is None:
        return ""
    hours, _, minutes, seconds, fraction = match.groups()
    return "".join((hours, minutes or "", seconds or "", f".{fraction}" if fraction else ""))


def _age(value: str) -> tuple[int, str] | None:
    match = _AGE.fullmatch(value.upper())
    if match is None:
        return None
    count, unit = int(match[1]), match[2] or "Y"
    is_unknown = count == 0 and unit == "Y"
    if is_unknown or count * DAYS_IN[unit] > _OLDEST_YEARS * DAYS_IN["Y"]:
        return None
    return count, unit


_READERS: dict[str, Callable[[str], object]] = {
    "DA": _date,
    "TM": _time,
    "AS": _age,
    "IS": lambda value: _number(value) is not None,
    "DS": lambda value: _number(value) is not None,
    "US": lambda value: _number(value) is not None,
}
"""Readers by the VR of the tag; each returns something false for what it cannot read."""
