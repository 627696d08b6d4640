"""Fonts for pages, taken from the machine: two families write most of what a report may hold.

DejaVu Sans has Latin, Greek, Cyrillic, Arabic and Hebrew; Noto Sans CJK has Chinese, Japanese and Korean, and
Latin too. Each paragraph is set in the one that has most of it. What neither has is shown as an empty box,
and the page says so: the text itself is never at stake, a Structured Report holds any of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from echo_node.errors import ConfigError

MISSING = "\u25a1"
"""Stands for a character that no font of this machine has."""

_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts")
_DEJAVU = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
_CJK = ("NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc")
_FACES = {"ja": 0, "ko": 1, "zh-hant": 3, "zh-tw": 3, "zh-hk": 4, "zh": 2}
"""Which face of the collection draws Han characters as readers of a language know them."""


@dataclass(frozen=True, slots=True)
class Family:
    """A font in two weights.

    Attributes:
        regular: its file.
        bold: its file.
        face: which font of the files; 0 for those that hold one.
        characters: code points that it has.
    """

    regular: Path
    bold: Path
    face: int
    characters: frozenset[int]

    @property
    def name(self) -> str:
        """A name for it that no other has."""
        return f"{self.regular.stem}-{self.face}"


@dataclass(frozen=True, slots=True)
class Fonts:
    """The families of this machine, in order of preference."""

    families: tuple[Family, ...]

    def fitted(self, text: str) -> tuple[Family, str]:
        """Return the family that has most of *text*, and the text with boxes for what it lacks."""
        lacking = {family: sum(map(functools.partial(_lacks, family), text)) for family in self.families}
        family = min(self.families, key=lacking.__getitem__)
        return family, "".join(MISSING if _lacks(family, each) else each for each in text)


def find_fonts(language: str) -> Fonts:
    """Return the fonts for a report in this language (RFC 5646); the one for Han characters may be absent.

    Raises:
        ConfigError: there is none at all, or what reads them is not installed.
    """
    dejavu = _family(_DEJAVU, 0)
    if dejavu is None:
        raise ConfigError(
            "pages need the font DejaVu Sans (Debian: fonts-dejavu-core), and for Chinese and Japanese "
            "Noto Sans CJK (fonts-noto-cjk)"
        )
    tags = _prefixes(language.lower())
    cjk = _family(_CJK, next((_FACES[tag] for tag in tags if tag in _FACES), _FACES["ja"]))
    return Fonts((dejavu,) if cjk is None else (dejavu, cjk))


def _prefixes(tag: str) -> Iterator[str]:
    parts = tag.split("-")
    return ("-".join(parts[:count]) for count in range(len(parts), 0, -1))


@functools.cache
def _family(names: tuple[str, str], face: int) -> Family | None:
    regular, bold = (_find(name) for name in names)
    if regular is None or bold is None:
        return None
    try:
        from fontTools.ttLib import TTFont
    except ImportError:
        raise ConfigError("pages need more of Python: pip install 'echo-node[pages]'") from None
    number = face if regular.suffix == ".ttc" else -1
    with TTFont(regular, fontNumber=number, lazy=True) as font:
        characters = frozenset(font.getBestCmap())
    return Family(regular, bold, face, characters)


def _find(name: str) -> Path | None:
    found = (path for folder in _FOLDERS for path in sorted(folder.rglob(name)))
    return next(found, None)


def _lacks(family: Family, character: str) -> bool:
    return ord(character) not in family.characters and character not in "\n\r\t"
