"""Fonts for pages, from this machine: two families cover most reports.

DejaVu Sans has Latin, Greek, Cyrillic, Arabic and Hebrew. Noto Sans CJK has Chinese, Japanese,
Korean and Latin. Each paragraph uses the family that has most of its characters. Missing characters
are shown as empty boxes, and the page says so. The text itself is not lost: Structured Reports
contain all of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from echo_node.errors import ConfigError

MISSING = "\u25a1"
"""Box in place of a character that no font of this machine has."""

_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts")
_DEJAVU = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
_CJK = ("NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc")
_FACES = {"ja": 0, "ko": 1, "zh-hant": 3, "zh-tw": 3, "zh-hk": 4, "zh": 2}
"""Face of the collection with the Han characters of a language."""


@dataclass(frozen=True, slots=True)
class Family:
    """A font in two weights.

    Attributes:
        regular: file of the regular font.
        bold: file of the bold font.
        face: index of the font in its file; 0 in a file of one font.
        characters: code points of the font.
    """

    regular: Path
    bold: Path
    face: int
    characters: frozenset[int]

    @property
    def name(self) -> str:
        """Unique name."""
        return f"{self.regular.stem}-{self.face}"


@dataclass(frozen=True, slots=True)
class Fonts:
    """The families of this machine, in order of preference."""

    families: tuple[Family, ...]

    def fitted(self, text: str) -> tuple[Family, str]:
        """Return the family that has most of *text*, and the text with boxes for the rest."""
        lacking = {family: sum(map(functools.partial(_lacks, family), text)) for family in self.families}
        family = min(self.families, key=lacking.__getitem__)
        return family, "".join(MISSING if _lacks(family, each) else each for each in text)


def find_fonts(language: str) -> Fonts:
    """Return the fonts for a language (RFC 5646); the font of Han characters is optional.

    Raises:
        ConfigError: DejaVu Sans, or the library that reads fonts, is not installed.
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
        raise ConfigError("pages need additional Python packages: pip install 'echo-node[pages]'") from None
    number = face if regular.suffix == ".ttc" else -1
    with TTFont(regular, fontNumber=number, lazy=True) as font:
        characters = frozenset(font.getBestCmap())
    return Family(regular, bold, face, characters)


def _find(name: str) -> Path | None:
    found = (path for folder in _FOLDERS for path in sorted(folder.rglob(name)))
    return next(found, None)


def _lacks(family: Family, character: str) -> bool:
    return ord(character) not in family.characters and character not in "\n\r\t"
