"""Specific Character Set (PS3.3 C.12.1.1.2): its defined terms, and what other spellings mean."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

SINGLE_BYTE = {
    100: "iso8859_1", 101: "iso8859_2", 109: "iso8859_3", 110: "iso8859_4", 144: "iso8859_5",
    127: "iso8859_6", 126: "iso8859_7", 138: "iso8859_8", 148: "iso8859_9", 203: "iso8859_15", 166: "tis_620",
}  # fmt: skip
"""Codecs of single-byte character sets, by their ISO registration number. Their G0 is ASCII."""
ASCII, JIS_X_0201, JIS_X_0208, JIS_X_0212, KS_X_1001, GB_2312 = 6, 13, 87, 159, 149, 58
"""Other ISO registration numbers. JIS X 0201 is that of two sets, 13 and 14."""
MULTI_BYTE = (JIS_X_0208, JIS_X_0212, KS_X_1001, GB_2312)
WITHOUT_EXTENSIONS = {"ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gb18030"}
"""Codecs of multi-byte character sets without code extensions."""

_UTF_8 = 192
_REGISTRATION = re.compile(r"ISO[ _-]*(?:20[0-9]{2}[ _-]*)?IR[ _-]*0*([0-9]{1,3})")
_OUTSIDE_DICOM = (
    "utf_8", "gb18030", "big5", "big5hkscs", "shift_jis", "cp932", "euc_jp", "euc_kr", "cp949", "koi8_r",
    "koi8_u", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "cp874", "iso8859_10", "iso8859_13", "iso8859_14", "iso8859_16", "cp437", "cp850", "cp852", "cp866",
)  # fmt: skip
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "utf_8_sig": "utf_8"}


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """Character set of a data set, as its Specific Character Set states it.

    Attributes:
        codec: Python codec of a set without code extensions; empty for registered sets.
        registered: registration numbers of the sets that code extensions may use, the initial one
            first.
        is_defined: whether every value is a defined term, and they may be combined.
        others: codecs of values that may not be combined with the first.
    """

    codec: str = ""
    registered: tuple[int, ...] = (ASCII,)
    is_defined: bool = True
    others: tuple[str, ...] = ()

    @property
    def is_default(self) -> bool:
        """Whether it is the default repertoire alone."""
        return not self.codec and self.registered == (ASCII,)


DEFAULT_REPERTOIRE = CharacterSet()
"""ASCII (ISO-IR 6), the character set of a data set that states none."""


def character_set(terms: Sequence[str]) -> CharacterSet:
    """Return the character set that the values of Specific Character Set mean.

    Misspelt terms and names from outside DICOM, such as `ISO IR 192` or `windows-1252`, are
    understood if they can mean only one set. Other values are ignored, and the result is then not
    `is_defined`.
    """
    values = [term.strip(" \0") for term in terms]
    while values and not values[-1]:
        values.pop()
    if not values:
        return DEFAULT_REPERTOIRE
    meant = [_meaning(value) for value in values]
    known = [each for each in meant if each is not None] or [DEFAULT_REPERTOIRE]
    is_defined = None not in meant and all(each.is_defined for each in known)
    if any(each.codec for each in known):
        first, *more = [each for each in known if not each.is_default]
        others = tuple(each.codec or _codec_of(each.registered[0]) for each in more)
        return CharacterSet(first.codec, first.registered, is_defined and not more, others)
    is_extended = all(not value or value.startswith("ISO 2022 IR ") for value in values)
    numbers = tuple(dict.fromkeys(each.registered[0] for each in known))
    return CharacterSet("", numbers, is_defined and (len(values) == 1 or is_extended))


def _meaning(term: str) -> CharacterSet | None:
    if not term:
        return DEFAULT_REPERTOIRE
    if codec := WITHOUT_EXTENSIONS.get(term):
        return CharacterSet(codec, ())
    match = _REGISTRATION.fullmatch(term.upper())
    if match is None:
        return _named_elsewhere(term)
    number = int(match[1])
    if number == _UTF_8:
        return CharacterSet("utf_8", (), is_defined=False)
    if number not in (ASCII, JIS_X_0201, *SINGLE_BYTE, *MULTI_BYTE):
        return None
    defined = {f"ISO 2022 IR {number}"} | (set() if number in MULTI_BYTE else {f"ISO_IR {number}"})
    return CharacterSet("", (number,), is_defined=term in defined)


def _named_elsewhere(term: str) -> CharacterSet | None:
    """Return the character set with a name from outside DICOM, such as `UTF-8` or `latin1`."""
    name = re.sub(r"[^A-Z0-9]", "", term.upper())
    name = re.sub(r"^(WINDOWS|WIN|MSCP)(?=[0-9])", "CP", name)
    name = re.sub(r"^ISO8859(?=[0-9])", "ISO8859_", name)
    name = re.sub(r"^KOI8(?=[RU]$)", "KOI8_", name)
    name = re.sub(r"^(EUC|SHIFT)(?=[A-Z])", r"\1_", name)
    try:
        codec = codecs.lookup(name).name.replace("-", "_")
    except LookupError:
        return None
    codec = _SUPERSETS.get(codec, codec)
    if codec == "ascii":
        return CharacterSet(is_defined=False)
    numbers = {known.replace("-", "_"): number for number, known in SINGLE_BYTE.items()}
    if number := numbers.get(codec):
        return CharacterSet("", (number,), is_defined=False)
    return CharacterSet(codec, (), is_defined=False) if codec in _OUTSIDE_DICOM else None


def _codec_of(number: int) -> str:
    multi_byte = {JIS_X_0201: "shift_jis", KS_X_1001: "euc_kr", GB_2312: "gb18030"}
    return SINGLE_BYTE.get(number) or multi_byte.get(number) or "ascii"
