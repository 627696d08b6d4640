"""The model's text, taken apart into sections and sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

_HEADING = re.compile(
    r"(?P<findings>\bFindings\s*[:\uff1a]|\u6240\u89c1\s*[:\uff1a])"
    r"|(?P<impression>\bImpressions?\s*[:\uff1a]|\u7ed3\u8bba\s*[:\uff1a])",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])|(?<=[\u3002\uff01\uff1f])")


@dataclass(frozen=True, slots=True)
class Span:
    """One sentence and where it stands in the text, as character offsets [start, end)."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sections:
    """The sentences of the two sections; a section that the text lacks is empty."""

    findings: tuple[Span, ...]
    impression: tuple[Span, ...]


def split_sections(text: str) -> Sections:
    """Split a draft by its headings; text without any heading is taken as findings."""
    parts: dict[str, list[Span]] = {"findings": [], "impression": []}
    headings = list(_HEADING.finditer(text))
    bounds = [(m.lastgroup or "findings", m.end()) for m in headings] or [("findings", 0)]
    ends = [m.start() for m in headings[1:]] + [len(text)]
    for (name, start), end in zip(bounds, ends, strict=True):
        parts[name].extend(_sentences(text, start, end))
    return Sections(tuple(parts["findings"]), tuple(parts["impression"]))


def _sentences(text: str, start: int, end: int) -> list[Span]:
    """Return the sentences between two offsets, without the white space around them."""
    cuts = [start, *(m.end() for m in _SENTENCE_END.finditer(text, start, end)), end]
    spans = []
    for left, right in pairwise(cuts):
        piece = text[left:right]
        stripped = piece.strip()
        if stripped:
            at = left + piece.index(stripped)
            spans.append(Span(stripped, at, at + len(stripped)))
    return spans
