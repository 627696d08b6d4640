"""Sections and sentences of a draft: the text that a model writes, with its two headings.

English and Chinese headings are recognised as models write them: in any case, with half- or
full-width colons, in brackets or Markdown, or alone on a line. Text before the first heading
belongs to the findings. Everything except headings and stray marks ends up in a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_GAP = r"[ \t]{0,16}"  # bounded, because white space alone could take quadratic time
_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_ENGLISH_FINDINGS = (
    r"(?:(?:other|additional|incidental|radiographic|imaging|x-?ray|chest|key|main)[ \t]+)?"
    r"findings(?:[ \t]{0,4}(?:and|&|/)[ \t]{0,4}impressions?)?"
)
_ENGLISH_IMPRESSION = (
    r"(?:(?:overall|final|clinical|radiographic|imaging)[ \t]+)?(?:impressions?|conclusions?)"
)
_CHINESE_FINDINGS = r"(?:影像学?|检查|放射学?|X[线線]|胸片|胸部)?(?:所[见見]|表现)(?:描述)?"
_CHINESE_IMPRESSION = (
    r"(?:影像学?|检查|放射学?|[诊診]断)?(?:结论|結論|印象)"
    r"|(?:影像学?|放射学?|检查|初步)?[诊診]断(?:意见|印象|结论)?"
)
_MARK = r"(?:\*\*|__|\#{1,6}[ \t]{0,4})?"
_COLON = rf"{_GAP}(?:\*\*|__)?{_GAP}[:：]{_GAP}(?:\*\*|__)?"  # noqa: RUF001 - full width is meant
# Places where a heading can begin: at the start of the text, or after the end of a sentence.
_FRESH = r"(?:(?<![^\s.!?;:,*_#\]\)。！？；：，、】）])(?<![^\W\d_][ \t]))"  # noqa: RUF001
_LINE = rf"(?m:^){_GAP}"


def _named(findings: str, impression: str) -> str:
    return rf"(?:(?P<findings_>{findings})|(?P<impression_>{impression}))"


def _headings() -> Iterator[re.Pattern[str]]:
    english, chinese = (_ENGLISH_FINDINGS, _ENGLISH_IMPRESSION), (_CHINESE_FINDINGS, _CHINESE_IMPRESSION)
    either = tuple("|".join(pair) for pair in zip(english, chinese, strict=True))
    yield re.compile(rf"{_FRESH}{_MARK}{_named(*either)}{_COLON}", re.IGNORECASE)
    # A model that writes whole blocks may omit the full stop; the capital still marks a heading.
    yield re.compile(r"(?P<findings_>\b(?:Findings|FINDINGS))[ \t]{0,4}[:\uff1a]")
    yield re.compile(r"(?P<impression_>\b(?:Impressions?|IMPRESSIONS?))[ \t]{0,4}[:\uff1a]")
    yield re.compile(rf"[【\[]{_GAP}{_named(*either)}{_GAP}[】\]]{_GAP}[:：]?", re.IGNORECASE)  # noqa: RUF001
    yield re.compile(rf"{_LINE}{_MARK}{_named(*either)}{_GAP}(?:\*\*|__)?{_GAP}(?m:$)", re.IGNORECASE)


_HEADINGS = tuple(_headings())

_LIST_NUMBER = r"(?:\d{1,2}[.)、．]|[-*•·]|[(（]\d{1,2}[)）])"  # noqa: RUF001
_CLOSING = "\"'”’」』）)】\\]"  # noqa: RUF001
_CUT = re.compile(
    rf"(?P<stop>[.!?…\u061f\u06d4][{_CLOSING}]?)(?P<space>\s+)(?=\S)"
    rf"|[。！？；][{_CLOSING}]*\s*"  # noqa: RUF001
    rf"|(?<=[{_HAN}])\.(?=[{_HAN}])"
    rf"|\n{_GAP}(?={_LIST_NUMBER}{_GAP}\S)"
    rf"|\n\r?{_GAP}\n\s*"
)
_ABBREVIATION = re.compile(
    r"(?:^|[^\w.])(?:dr|mr|mrs|ms|prof|st|vs|approx|ca|cf|fig|figs|incl|resp|est|e\.g|i\.e|a\.m|p\.m"
    r"|max|min|diam|lat|ant|post|sup|inf|med|bilat|no|nos|vol)\.$",
    re.IGNORECASE,
)
_MAY_END = frozenset({"no", "min", "a.m", "p.m"})
"""Abbreviations that are also words or end sentences: the sentence continues only at a number."""
_BARE_NUMBER = re.compile(rf"\s*{_LIST_NUMBER}\s*")
_LOOKED_BACK = 12
_NUMBER_OF_LIST = re.compile(r"\d{1,2}[.)]\s")


@dataclass(frozen=True, slots=True)
class Span:
    """One sentence and its place in the text, as character offsets [start, end)."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sections:
    """The sentences of the two sections; a section that is missing or has no words is empty."""

    findings: tuple[Span, ...]
    impression: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: `findings` or `impression`, and its place, as character offsets [start, end)."""

    name: str
    start: int
    end: int


def headings(text: str) -> list[Heading]:
    """Return the headings of a draft in their order."""
    candidates = [
        Heading((match.lastgroup or "").rstrip("_"), match.start(), match.end())
        for pattern in _HEADINGS
        for match in pattern.finditer(text)
    ]
    kept: list[Heading] = []
    for heading in sorted(candidates, key=lambda each: (each.start, -each.end)):
        if not kept or heading.start >= kept[-1].end:
            kept.append(heading)
    return kept


def split_sections(text: str) -> Sections:
    """Split a draft by its headings; text before the first heading counts as findings."""
    parts: dict[str, list[Span]] = {"findings": [], "impression": []}
    found = headings(text)
    bounds = [("findings", 0), *((heading.name, heading.end) for heading in found)]
    ends = [*(heading.start for heading in found), len(text)]
    for (name, start), end in zip(bounds, ends, strict=True):
        parts[name].extend(_sentences(text, start, end))
    return Sections(tuple(parts["findings"]), tuple(parts["impression"]))


def _sentences(text: str, start: int, end: int) -> list[Span]:
    """Return the sentences between two offsets, without the white space around them.

    A piece without a letter, such as a list number or a stray mark, joins the next sentence. At the
    end, it joins the previous one.
    """
    pieces: list[tuple[int, int]] = []
    left = looked_at = start
    for right in (*_cuts(text, start, end), end):
        if _has_word(text[looked_at:right]):
            pieces.append((left, right))
            left = right
        looked_at = right
    if not pieces:
        return []
    pieces[-1] = (pieces[-1][0], end)
    return [_span(text, *piece) for piece in pieces]


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the offsets at which one sentence ends and the next begins."""
    left = start
    for match in _CUT.finditer(text, start, end):
        if match.end() >= end or (match["stop"] and not _ends(text, left, match, end)):
            continue
        left = match.end()
        yield left


def _ends(text: str, left: int, match: re.Match[str], end: int) -> bool:
    """Return whether a full stop before white space ends the sentence that began at *left*."""
    before = text[max(left, match.end("stop") - _LOOKED_BACK) : match.end("stop")]
    after = text[match.end() : match.end() + 4]
    if _BARE_NUMBER.fullmatch(before):
        return False  # "1. Cardiomegaly."
    if "\n" in match["space"] and re.match(_LIST_NUMBER, after):
        return True
    abbreviation = _ABBREVIATION.search(before)
    if abbreviation:
        word = abbreviation[0].strip(" (").rstrip(".").lower()
        return word in _MAY_END and not after[0].isdigit()
    if after[0].isdigit():
        # "1. 5 cm" is one number with a stray space; "… 0.58. 2. No effusion" is a list.
        return not before[-2:-1].isdigit() or _NUMBER_OF_LIST.match(text, match.end(), end) is not None
    return not after[0].isalpha() or not after[0].islower()


def _has_word(piece: str) -> bool:
    return any(character.isalpha() for character in piece)


def _span(text: str, left: int, right: int) -> Span:
    piece = text[left:right]
    stripped = piece.strip()
    at = left + piece.index(stripped)
    return Span(stripped, at, at + len(stripped))
