"""Reading of one encoded text: as its character set says, as what it can only be, or not at all.

What is not certain is not guessed. A group of a person name that cannot be read is dropped, and of
another text each word that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from echo_node.dicom.characters import iso_2022
from echo_node.dicom.characters.iso_2022 import UNREADABLE
from echo_node.dicom.characters.plausibility import (
    is_in_one_script,
    is_latin,
    is_likelier_russian,
    is_name,
    is_plain,
    is_readable,
    is_worded,
    proves_utf_8,
)
from echo_node.dicom.characters.terms import JIS_X_0201, SINGLE_BYTE, CharacterSet

_ESCAPE = b"\x1b"
_BOM = b"\xef\xbb\xbf"
_UTF_8, _GB_18030 = "utf_8", "gb18030"
_SWALLOWING = (_GB_18030, "big5", "cp932", "shift_jis", "cp949")
"""Codecs of two-byte characters whose second byte may be that of an ASCII character."""
_CANDIDATES = (
    *SINGLE_BYTE.values(), "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
    "cp1258", "cp874", "koi8_r", "cp437", _GB_18030, "big5", "cp932", "euc_jp", "cp949",
)  # fmt: skip
"""Codecs that a text of an unknown character set may be in."""
_CYRILLIC = 144
_LAST_OF_LATIN_1 = 0xFF

_LINE_ENDS = re.compile("[\n\f\r\u2028\u2029]+")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_STRAY = re.compile(rb"[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]|\x1b(?![\x20-\x2f])")
"""Bytes that no character set uses, and escapes that begin no switch between sets."""
_SPACES = re.compile("[\t\n\f\r]+")


class Certainty(IntEnum):
    """Certainty of a text, the greatest first."""

    AS_STATED = 0
    REPAIRED = 1
    """Read in another character set than stated: the only one that it can be in."""
    UNREADABLE = 2
    """A part of it is left out."""


@dataclass(frozen=True, slots=True)
class ReadText:
    """A text without control characters, and its certainty."""

    text: str
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class TextReader:
    """Reads the texts of one data set.

    Attributes:
        stated: character set that the data set states, or that of its sender if it states none.
        of_sender: character set that the sender uses if the stated one is wrong; None if unknown.
        has_utf_8: whether another text of the data set can only be UTF-8.
    """

    stated: CharacterSet
    of_sender: CharacterSet | None = None
    has_utf_8: bool = False

    def is_surely_utf_8(self, value: bytes) -> bool:
        """Return whether a text can only be UTF-8, although another character set is stated."""
        if self.stated.codec == _UTF_8 or value.isascii() or _ESCAPE in value:
            return False
        return not self._is_common_chinese(value) and _surely_utf_8(value) is not None

    def name(self, value: bytes) -> ReadText:
        """Return a person name. Groups that cannot be read are empty."""
        value, stray = _STRAY.subn(b"", value.rstrip(b" \0"))
        if _ESCAPE in value:
            read = self._read(value, is_name=True)
            groups = [ReadText(each, read.certainty) for each in read.text.split("=")]
        else:  # "=" is a part of no other character without escape sequences
            groups = [self._read(each, is_name=True) for each in value.split(b"=")]
        texts = [_SPACES.sub(" ", _LINE_ENDS.sub(" ", each.text)) for each in groups]
        legible = [text if is_readable(text) and is_name(text) else "" for text in texts]
        certainty = max(
            Certainty.REPAIRED if stray else Certainty.AS_STATED, *(each.certainty for each in groups)
        )
        if legible == texts:
            return ReadText("=".join(texts), min(certainty, Certainty.REPAIRED))
        return ReadText("=".join(legible).rstrip("="), Certainty.UNREADABLE)

    def text(self, value: bytes, *, has_lines: bool = False) -> ReadText:
        """Return a text other than a person name, without the words that cannot be read.

        Args:
            value: the encoded text.
            has_lines: whether its value representation allows line ends and tabulators.
        """
        read = self._read(_STRAY.sub(b"", value.rstrip(b" \0")), is_name=False)
        text = _CONTROLS.sub("", _LINE_ENDS.sub("\r\n", read.text))
        if not has_lines:
            text = _SPACES.sub(" ", text)
        if is_readable(text):
            return ReadText(text, min(read.certainty, Certainty.REPAIRED))
        words = (each for each in re.split(r"(\s+|\\)", text) if is_readable(each))
        return ReadText("".join(words).strip(), Certainty.UNREADABLE)

    def _read(self, value: bytes, *, is_name: bool) -> ReadText:
        """Return a text. Bytes that cannot be read are UNREADABLE characters in it."""
        if value.isascii() and _ESCAPE not in value:
            return ReadText(value.decode("ascii"), Certainty.AS_STATED)
        for text, certainty in self._readings(value, is_name=is_name):
            if text is not None:
                return ReadText(text.removeprefix("\ufeff"), certainty)
        return ReadText(self._parts(value, is_name=is_name), Certainty.UNREADABLE)

    def _readings(self, value: bytes, *, is_name: bool) -> Iterator[tuple[str | None, Certainty]]:
        """Yield the possible readings of a text that is not in ASCII, the most certain first."""
        stated = _decoded(value, self.stated, is_name=is_name)
        if _ESCAPE not in value and not self._is_common_chinese(value):
            surely = _surely_utf_8(value)
            if surely is None and self.has_utf_8:
                surely = _plausible(value, _UTF_8)
            if surely is not None and surely != stated.text:
                yield surely, Certainty.REPAIRED
        yield stated.text, stated.certainty
        others = list(self.stated.others)
        if _ESCAPE in value:
            yield _decoded(value, self.stated, is_name=is_name, resets=False).text, Certainty.REPAIRED
        else:
            others += [SINGLE_BYTE[each] for each in self.stated.registered[1:] if each in SINGLE_BYTE]
            if JIS_X_0201 in self.stated.registered:
                others.append("cp932")
        for codec in others:
            yield _plausible(value, codec), Certainty.REPAIRED
        if self.of_sender is not None and self.of_sender != self.stated:
            yield _decoded(value, self.of_sender, is_name=is_name).text, Certainty.REPAIRED
        if _ESCAPE not in value:
            yield _only_latin(value), Certainty.REPAIRED

    def _is_common_chinese(self, value: bytes) -> bool:
        """Return whether a value states GB18030 and is written in common characters of it."""
        if self.stated.codec != _GB_18030:
            return False
        text = _strict(value, "gb2312")
        return text is not None and re.search("[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]", text) is None

    def _parts(self, value: bytes, *, is_name: bool) -> str:
        """Return the legible parts of a value that cannot be read as a whole."""
        if _ESCAPE in value:
            text = iso_2022.decode(value, self.stated.registered or (0,), is_name=is_name).text
            if is_plain(text) and is_in_one_script(text):
                return text
        elif self.stated.codec == _UTF_8 and not is_name:
            shortened = value.decode(_UTF_8, "ignore")
            if value.startswith(shortened.encode()) and _plausible(shortened.encode(), _UTF_8):
                return f"{shortened} {UNREADABLE}"
        if is_name:
            return UNREADABLE
        pieces = re.split(rb"(\s+)", value)
        return "".join(
            each.decode("ascii") if each.isascii() and _ESCAPE not in each else UNREADABLE for each in pieces
        )


@dataclass(frozen=True, slots=True)
class _Decoded:
    text: str | None
    certainty: Certainty


def _decoded(value: bytes, character_set: CharacterSet, *, is_name: bool, resets: bool = True) -> _Decoded:
    """Return a value in a character set; its text is None if it cannot be in that one."""
    if character_set.codec:
        text, is_conformant = _strict(value, character_set.codec), True
        if text is None or _swallows(text, character_set.codec):
            return _Decoded(None, Certainty.UNREADABLE)
    else:
        extended = iso_2022.decode(value, character_set.registered, is_name=is_name, resets=resets)
        text, is_conformant = extended.text, extended.is_conformant
        if not is_in_one_script(text) or _is_windows_1251(value, text, character_set):
            return _Decoded(None, Certainty.UNREADABLE)
    if not (is_readable(text) and is_plain(text)):
        return _Decoded(None, Certainty.UNREADABLE)
    is_as_stated = is_conformant and character_set.is_defined
    return _Decoded(text, Certainty.AS_STATED if is_as_stated else Certainty.REPAIRED)


def _is_windows_1251(value: bytes, text: str, stated: CharacterSet) -> bool:
    """Return whether a text that states ISO 8859-5 is rather in the other Cyrillic set."""
    if stated.registered != (_CYRILLIC,):
        return False
    other = _plausible(value, "cp1251")
    return other is not None and is_worded(other) and is_likelier_russian(other, text)


def _surely_utf_8(value: bytes) -> str | None:
    """Return the text of a value that can only be UTF-8; None otherwise.

    Text that was encoded in UTF-8 twice, as if its bytes were characters, is decoded twice.
    """
    text = _strict(value.removeprefix(_BOM), _UTF_8)
    if text is None:
        return None
    once_more = _strict(b"".join(map(_as_byte, text)), _UTF_8)
    if once_more is not None and proves_utf_8(once_more):
        return once_more
    return text if proves_utf_8(text) or (value.startswith(_BOM) and is_readable(text)) else None


def _as_byte(character: str) -> bytes:
    """Return the byte of a character in Latin-1 or Windows-1252; otherwise one not in UTF-8."""
    if ord(character) <= _LAST_OF_LATIN_1:
        return bytes((ord(character),))
    return character.encode("cp1252", "ignore") or b"\xff"


def _only_latin(value: bytes) -> str | None:
    """Return the text of a value if all character sets that it can be in agree, and it is Latin."""
    texts = {text for codec in _CANDIDATES if (text := _plausible(value, codec)) and is_worded(text)}
    text = texts.pop() if len(texts) == 1 else None
    return text if text is not None and text == _strict(value, "latin_1") and is_latin(text) else None


def _plausible(value: bytes, codec: str) -> str | None:
    text = _strict(value, codec)
    if text is None or _swallows(text, codec):
        return None
    return text if is_readable(text) and is_plain(text) and is_in_one_script(text) else None


def _swallows(text: str, codec: str) -> bool:
    """Return whether a two-byte character may be an accented letter and an ASCII character."""
    if codec not in _SWALLOWING or text.isascii():
        return False
    for position, character in enumerate(text):
        if character.isascii() or not character.encode(codec)[-1:].isascii():
            continue
        neighbours = text[max(0, position - 1) : position] + text[position + 1 : position + 2]
        if any(each.isascii() and each.isalpha() for each in neighbours):
            return True
    return False


def _strict(value: bytes, codec: str) -> str | None:
    try:
        return value.decode(codec)
    except UnicodeDecodeError:
        return None
