"""Code extensions (PS3.5 6.1.2.5): text whose escape sequences switch between registered sets.

The sets of G0 are encoded in bytes below 0x80, those of G1 in bytes above. Senders forget to switch
back before a delimiter, or to switch again after it. Both can be read if only one reading fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from echo_node.dicom.characters.terms import (
    ASCII,
    GB_2312,
    JIS_X_0201,
    JIS_X_0208,
    JIS_X_0212,
    KS_X_1001,
    SINGLE_BYTE,
)

UNREADABLE = "\ufffd"
"""Stands for bytes that mean no character."""

_ESCAPE = 0x1B
_UNKNOWN = -1
_KATAKANA_IN_G0 = -2
_G0 = {
    b"(B": ASCII, b"(J": ASCII, b"(I": _KATAKANA_IN_G0, b"$B": JIS_X_0208, b"$(B": JIS_X_0208,
    b"$(D": JIS_X_0212,
}  # fmt: skip
_G1 = {
    b")I": JIS_X_0201, b"$)C": KS_X_1001, b"$)A": GB_2312, b"-A": 100, b"-B": 101, b"-C": 109, b"-D": 110,
    b"-F": 126, b"-G": 127, b"-H": 138, b"-L": 144, b"-M": 148, b"-T": 166, b"-b": 203,
}  # fmt: skip
_NOT_IN_DICOM = {b"(I", b"$(B"}
_PAIRS = {JIS_X_0208: ("euc_jp", b""), JIS_X_0212: ("euc_jp", b"\x8f")}
"""Codec of a two-byte set of G0 with its high bits set, and the prefix that the codec needs."""
_DELIMITERS_OF_NAMES = b"\\^="
_DELIMITERS = b"\\\t\n\f\r"


@dataclass(frozen=True, slots=True)
class Extended:
    """Text decoded with code extensions.

    Attributes:
        text: the text; UNREADABLE stands for bytes that mean no character.
        is_conformant: whether the sender switched sets as the Standard requires.
    """

    text: str
    is_conformant: bool


def decode(value: bytes, registered: Sequence[int], *, is_name: bool, resets: bool = True) -> Extended:
    """Return the text of a value.

    Args:
        value: the encoded value.
        registered: registration numbers of the character sets, the initial one first.
        is_name: whether it is a person name, whose delimiters are `^` and `=`.
        resets: whether delimiters switch back to the initial sets, as the Standard requires.
    """
    reader = _Reader(registered, _DELIMITERS_OF_NAMES if is_name else _DELIMITERS, resets=resets)
    return reader.read(value)


class _Reader:
    """State of the decoder: the sets that G0 and G1 are switched to."""

    def __init__(self, registered: Sequence[int], delimiters: bytes, *, resets: bool) -> None:
        first = registered[0]
        self._initial = None if first in {ASCII, JIS_X_0208, JIS_X_0212} else first
        of_g1 = [number for number in registered if number in _G1.values()]
        self._implied = of_g1[0] if len(of_g1) == 1 else None
        self._registered = registered
        self._delimiters = delimiters
        self._resets = resets
        self._g0, self._g1 = ASCII, self._initial
        self._pieces: list[str] = []
        self._is_conformant = resets

    def read(self, value: bytes) -> Extended:
        position = 0
        while position < len(value):
            byte = value[position]
            if byte == _ESCAPE:
                position = self._switch(value, position)
            elif byte in self._delimiters and (self._g0 not in _PAIRS or byte < 0x20):
                self._reset()
                self._pieces.append(chr(byte))
                position += 1
            elif byte >= 0x80:
                position = self._right(value, position)
            elif byte > 0x20 and self._g0 != ASCII:
                position = self._left(value, position)
            else:
                self._pieces.append(chr(byte))
                position += 1
        return Extended("".join(self._pieces), self._is_conformant)

    def _switch(self, value: bytes, position: int) -> int:
        """Follow an escape sequence. Return the position after it."""
        for length in (3, 2):
            sequence = value[position + 1 : position + 1 + length]
            if sequence in _G0 or sequence in _G1:
                number = _G0[sequence] if sequence in _G0 else _G1[sequence]
                self._is_conformant &= sequence not in _NOT_IN_DICOM and self._is_registered(number)
                if sequence in _G0:
                    self._g0 = number
                else:
                    self._g1 = number
                return position + 1 + length
        self._g0 = self._g1 = _UNKNOWN
        self._pieces.append(UNREADABLE)
        return position + 1

    def _is_registered(self, number: int) -> bool:
        return number == ASCII or number in self._registered

    def _reset(self) -> None:
        if self._resets:
            self._is_conformant &= self._g0 == ASCII
            self._g0, self._g1 = ASCII, self._initial

    def _right(self, value: bytes, position: int) -> int:
        """Read one character of G1. Return the position after it."""
        number = self._g1
        if number is None and self._implied is not None:
            number, self._is_conformant = self._implied, False
        width = 2 if number in {KS_X_1001, GB_2312} else 1
        encoded = value[position : position + width]
        match number:
            case 149:
                text, exact = _decoded(encoded, "cp949"), _decoded(encoded, "euc_kr")
            case 58:
                text, exact = _decoded(encoded, "gbk"), _decoded(encoded, "gb2312")
            case 13:
                text = exact = _decoded(encoded, "shift_jis")
            case _:
                text = exact = _decoded(encoded, SINGLE_BYTE.get(number or 0, "ascii"))
        self._is_conformant &= text == exact
        self._pieces.append(text or UNREADABLE)
        return position + (width if text else 1)

    def _left(self, value: bytes, position: int) -> int:
        """Read characters of a set of G0 other than ASCII. Return the position after them."""
        end = position
        while end < len(value) and 0x20 < value[end] < 0x80 and value[end] != _ESCAPE:
            end += 1
        run = value[position:end]
        if self._g0 in _PAIRS:
            self._pairs(run)
        elif self._g0 == _KATAKANA_IN_G0:
            self._pieces.append(_decoded(bytes(each | 0x80 for each in run), "shift_jis") or UNREADABLE)
        else:
            self._pieces.append(UNREADABLE)
        return end

    def _pairs(self, run: bytes) -> None:
        """Read a run of two-byte characters, which may contain delimiters without a switch back.

        A byte is a delimiter only if the run has no other reading with as few delimiters.
        """
        codec, prefix = _PAIRS[self._g0]
        pairs = [
            _decoded(prefix + bytes((a | 0x80, b | 0x80)), codec)
            for a, b in zip(run, run[1:] + b"\0", strict=True)
        ]
        best: list[tuple[int, int]] = [(0, 1), (len(run) + 1, 0)]  # delimiters and readings of each rest
        for position in reversed(range(len(run))):
            one, two = best[0], best[1]
            options = [two] if pairs[position] else []
            if run[position] in self._delimiters:
                options.append((one[0] + 1, one[1]))
            least = min((option[0] for option in options), default=len(run) + 1)
            best.insert(0, (least, sum(option[1] for option in options if option[0] == least)))
        if best[0][0] > len(run) or best[0][1] != 1:
            self._pieces.append(UNREADABLE)
            return
        position = 0
        while position < len(run):
            pair = pairs[position]
            if pair and best[position][0] == best[position + 2][0]:
                self._pieces.append(pair)
                position += 2
            else:
                self._is_conformant = False
                self._pieces.append(chr(run[position]))
                position += 1


def _decoded(encoded: bytes, codec: str) -> str | None:
    """Return the text of some bytes, if they mean printable characters."""
    try:
        text = encoded.decode(codec)
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None
