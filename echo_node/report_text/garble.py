"""Garble measure: faults of form that no radiologist would write, counted without a reference.

One-step decoding damages text in characteristic ways: repeated words, words that do not exist,
missing sections. Metrics of clinical content hardly notice these faults.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from echo_node.report_text.draft_sections import headings, split_sections
from echo_node.report_text.words import words

KINDS = MappingProxyType(
    {
        "repeated_words": "a word, and the same word again",
        "repeated_phrases": "two to six words, and the same ones again",
        "broken_words": "a word outside the vocabulary of the references",
        "repeated_sentences": "a sentence that its section already has",
        "unparsable_sections": "a section missing, empty or begun twice, or text outside both",
        "unfinished": "the last sentence does not end",
    }
)
"""Kinds of garble with their meanings, in the order of the counts."""

_IN_A_SENTENCE = 3  # number of kinds, from the first, that can be counted within one sentence
_SECTIONS = ("findings", "impression")
_LONGEST_PHRASE = 6
_OF_THE_END = ("unparsable_sections", "unfinished")
_PAUSE = re.compile(r"[,;:()]")
_ENDS = tuple(".!?。！？")  # noqa: RUF001 - full stops of Chinese reports


@dataclass(frozen=True, slots=True)
class Garble:
    """Faults of a set of drafts.

    Attributes:
        counts_NK: number of faults, by draft and kind (in the order of `KINDS`).
        words_N: number of words of each draft.
    """

    counts_NK: NDArray[np.int64]
    words_N: NDArray[np.int64]

    @property
    def garbled(self) -> float:
        """Garble rate: the share of drafts with any fault."""
        return float((self.counts_NK.sum(1) > 0).mean())

    @property
    def per_100_words(self) -> float:
        """Faults of all kinds per 100 words."""
        return float(100 * self.counts_NK.sum() / max(1, self.words_N.sum()))

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Mask of the complete drafts: both sections are there, and the last sentence ends."""
        places = [list(KINDS).index(kind) for kind in _OF_THE_END]
        whole: NDArray[np.bool_] = self.counts_NK[:, places].sum(1) == 0
        return whole

    def by_kind(self) -> dict[str, tuple[float, float]]:
        """Return, for each kind, the faults per 100 words and the share of drafts with any."""
        per_100_K = 100 * self.counts_NK.sum(0) / max(1, self.words_N.sum())
        share_K = (self.counts_NK > 0).mean(0)
        return {
            kind: (float(per_100), float(share))
            for kind, per_100, share in zip(KINDS, per_100_K, share_K, strict=True)
        }


def garble(drafts: Sequence[str], vocabulary: Set[str]) -> Garble:
    """Count the faults of drafts.

    Args:
        drafts: texts of the drafts.
        vocabulary: all valid words, in lower case; if empty, no word counts as broken.
    """
    counts = [list(faults(draft, vocabulary).values()) for draft in drafts]
    return Garble(
        np.array(counts, dtype=np.int64).reshape(-1, len(KINDS)),
        np.array([len(words(draft)) for draft in drafts], dtype=np.int64),
    )


def faults(text: str, vocabulary: Set[str]) -> dict[str, int]:
    """Return the number of faults of each kind in a draft."""
    counts = dict.fromkeys(KINDS, 0)
    sections = split_sections(text)
    for spans in (sections.findings, sections.impression):
        for span in spans:
            for kind, count in faults_of_sentence(span.text, vocabulary).items():
                counts[kind] += count
        distinct = {" ".join(words(span.text)) for span in spans}
        counts["repeated_sentences"] += len(spans) - len(distinct)
    counts["unparsable_sections"] = _unparsable(text)
    counts["unfinished"] = int(not text.rstrip().endswith(_ENDS))
    return counts


def faults_of_sentence(sentence: str, vocabulary: Set[str]) -> dict[str, int]:
    """Return the faults within one sentence: repetitions and broken words."""
    parts = [words(part) for part in _PAUSE.split(sentence)]  # "on the right, right lower lobe" is fine
    counts = (
        sum(_repeated_words(part) for part in parts),
        sum(_repeated_phrases(part) for part in parts),
        sum(_broken(part, vocabulary) for part in parts),
    )
    return dict(zip(list(KINDS)[:_IN_A_SENTENCE], counts, strict=True))


def _repeated_words(part: Sequence[str]) -> int:
    return sum(first == second for first, second in pairwise(part))


def _repeated_phrases(part: Sequence[str]) -> int:
    count = at = 0
    while at < len(part):
        length = _repeated_here(part, at)
        count += length > 0
        at += max(1, length)
    return count


def _repeated_here(part: Sequence[str], at: int) -> int:
    """Return the length of the longest phrase that starts at *at* and is repeated at once, or 0."""
    for length in range(_LONGEST_PHRASE, 1, -1):
        phrase = part[at : at + length]
        if phrase == part[at + length : at + 2 * length] and len(set(phrase)) > 1:
            return length
    return 0


def _broken(part: Sequence[str], vocabulary: Set[str]) -> int:
    if not vocabulary:
        return 0
    return sum(word not in vocabulary for word in part if not any(letter.isdigit() for letter in word))


def _unparsable(text: str) -> int:
    found = headings(text)
    names = [heading.name for heading in found]
    outside = text[: found[0].start] if found else text
    sections = split_sections(text)
    empty = sum(not getattr(sections, name) for name in _SECTIONS if name in names)
    missing = sum(name not in names for name in _SECTIONS)
    return missing + empty + len(names) - len(set(names)) + int(bool(outside.strip()) and bool(found))
