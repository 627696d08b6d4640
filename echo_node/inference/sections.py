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
_SENTENCE_END = re.compile(
    r"(?<=[.!?])\s+(?=[A-Z0-9])|(?<=[.!\u061f\u06d4])\s+(?=[\u0620-\u06ff])|(?<=[\u3002\uff01\uff1f])"
)


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


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: `findings` or `impression`, and where it stands, as character offsets [start, end)."""

    name: str
    start: int
    end: int


def headings(text: str) -> list[Heading]:
    """Return the headings of a draft in their order."""
    return [Heading(m.lastgroup or "findings", m.start(), m.end()) for m in _HEADING.finditer(text)]


def split_sections(text: str) -> Sections:
    """Split a draft by its headings; text without any heading is taken as findings."""
    parts: dict[str, list[Span]] = {"findings": [], "impression": []}
    found = headings(text)
    bounds = [(heading.name, heading.end) for heading in found] or [("findings", 0)]
    ends = [heading.start for heading in found[1:]] + [len(text)]
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
