"""Words of selection.toml as patterns, and the form in which texts are compared with them.

A text is compared without case, accents and underscores, and a small letter before a capital ends a
word: `chestLAT_auto` contains `chest` and `lat`. A word that the text denies does not count: "no
bone", "edge enhancement: off".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_LETTER = r"[^\W\d_]"
_LONGEST_NAME = 1024
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Phrases:
    """Pattern of whole words, and of others anywhere in a text.

    Args:
        words: regular expressions of whole words.
        anywhere: regular expressions that are found inside words too.
        negations: words that deny what follows or precedes them.
    """

    def __init__(
        self, words: Iterable[str], anywhere: Iterable[str] = (), negations: Negations | None = None
    ) -> None:
        self._pattern = re.compile("|".join([whole(words), *map(without_accents, anywhere)]))
        self._negations = negations

    def search(self, written: str) -> bool:
        """Return whether a text names one of them."""
        return bool(self.spans(comparable(written)))

    def spans(self, compared: str) -> list[tuple[int, int]]:
        """Return the places in a comparable text that name one of them, and are not denied."""
        found = (match.span() for match in self._pattern.finditer(compared))
        return [
            (first, last)
            for first, last in found
            if first < last and not (self._negations and self._negations.deny(compared, first, last))
        ]


class Negations:
    """Words that deny a word.

    Args:
        before: regular expressions of words directly before it.
        after: regular expressions of words directly after it.
    """

    def __init__(self, before: Iterable[str], after: Iterable[str]) -> None:
        self._before = re.compile(f"{whole(before)}[ -]*$")
        self._after = re.compile(
            rf"(?: {_LETTER}+)?[\s:=,-]*(?:{'|'.join(map(without_accents, after))})(?!{_LETTER}|\d)"
        )

    def deny(self, compared: str, first: int, last: int) -> bool:
        """Return whether the words around a place of a comparable text deny it."""
        return bool(self._before.search(compared[:first]) or self._after.match(compared, last))


def whole(words: Iterable[str]) -> str:
    """Return a regular expression that finds *words* between anything but letters."""
    return f"(?<!{_LETTER})(?:{'|'.join(map(without_accents, words))})(?!{_LETTER})"


@lru_cache(maxsize=256)
def comparable(written: str) -> str:
    """Return a text as it is compared: its beginning, because a name is never long."""
    apart = _INNER_CAPITAL.sub(" ", written[:_LONGEST_NAME]).casefold()
    return re.sub(r"[\s_]+", " ", without_accents(apart)).strip()


def without_accents(written: str) -> str:
    """Return a text, or a regular expression, without accents and other combining marks."""
    letters = (each for each in unicodedata.normalize("NFKD", written) if unicodedata.category(each) != "Mn")
    return unicodedata.normalize("NFC", "".join(letters))
