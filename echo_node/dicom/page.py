"""The draft as a page to look at: its paragraphs in order, and where their lines break.

The PDF and the picture are set from the same paragraphs. They name the patient and the order with what the
Structured Report has of them, and nothing more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum, auto

from pydicom.dataset import Dataset

from echo_node import codes
from echo_node.dicom.fonts import MISSING, Family, Fonts, find_fonts
from echo_node.dicom.subject import subject_of
from echo_node.domain.draft import (
    UNCOMPARED_MARK,
    UNSURE_MARK,
    Draft,
    SectionName,
    Subject,
    compose,
    printable,
)

_MISSING_NOTE = (
    f"{MISSING} stands for a character that this page cannot show. Structured Reports hold the whole text."
)
_SPACES, _NO_BREAK = " \u3000", "\u00a0"
_MAY_NOT_BEGIN = frozenset("、。，．・：；？！ー」』）】〉》〕｝々…％")  # noqa: RUF001 - full width is meant
_MAY_NOT_END = frozenset("「『（【〈《〔｛")  # noqa: RUF001


class Style(Enum):
    """How a paragraph looks."""

    IDENTITY = auto()
    NOTICE = auto()
    HEADING = auto()
    BODY = auto()
    UNSURE = auto()
    SMALL = auto()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph, set in one font."""

    style: Style
    text: str
    family: Family
    is_right_to_left: bool = False


def paragraphs(draft: Draft, header: Dataset, zone: tzinfo | None) -> list[Paragraph]:
    """Return the page's paragraphs, the banner left out: it heads every page.

    Args:
        draft: what it says.
        header: of the image that was read.
        zone: of dates and times where the header states none; the machine's if None.
    """
    subject = subject_of(header)
    content, fonts = compose(draft, subject), find_fonts(draft.report.language)
    made_at = draft.at.astimezone(subject.zone or zone)
    set_ = [_set(Style.IDENTITY, line, fonts) for line in _identity(subject, made_at)]
    for section in content.sections:
        set_.append(_set(Style.HEADING, codes.code("heading", section.name).meaning, fonts))
        rtl = section.is_written and content.is_right_to_left
        set_ += [_set(_style(section.name, text), text, fonts, rtl=rtl) for text in section.paragraphs]
    if any(MISSING in paragraph.text for paragraph in set_):
        set_.append(_set(Style.SMALL, _MISSING_NOTE, fonts))
    return set_


def lines(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    """Break a paragraph into lines no wider than *width*, unless a single character is."""
    for part in text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").split("\n"):
        line = ""
        for piece in _pieces(part):
            if measure((line + piece).rstrip()) <= width:
                line += piece
                continue
            if line.rstrip():
                yield line.rstrip()
            line = ""
            for character in piece:
                if line and measure(line + character) > width:
                    yield line
                    line = ""
                line += character
        yield line.rstrip()


def _set(style: Style, text: str, fonts: Fonts, *, rtl: bool = False) -> Paragraph:
    family, shown = fonts.fitted(text)
    return Paragraph(style, shown, family, rtl)


def _style(section: SectionName, text: str) -> Style:
    if section is SectionName.SUMMARY:
        return Style.NOTICE
    if section is SectionName.PROCEDURE:
        return Style.SMALL
    return Style.UNSURE if text.startswith((UNSURE_MARK, UNCOMPARED_MARK)) else Style.BODY


def _identity(subject: Subject, made_at: datetime) -> Iterator[str]:
    """Return the lines that say whose report it is; what the image does not say is said not to be stated."""
    names = [_spoken(group) for group in printable(subject.patient_name).split("=")]
    yield "Patient: " + (" / ".join(filter(None, names)) or "name not stated")
    stated = {
        "ID": subject.patient_id,
        "Born": _date(subject.birth_date),
        "Sex": subject.sex,
        "Study": _date(subject.study_date),
        "Accession": ", ".join(
            dict.fromkeys(order.accession_number for order in subject.orders if order.accession_number)
        ),
        "Drafted": f"{made_at:%Y-%m-%d %H:%M}",
    }
    kept_together = (f"{name}: {printable(value) or 'not stated'}" for name, value in stated.items())
    yield "   ".join(line.replace(" ", _NO_BREAK) for line in kept_together)


def _spoken(group: str) -> str:
    """Return a component group of a person name for people: family, given and middle name, affixes."""
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    first = " ".join(filter(None, (prefix.strip(), given.strip(), middle.strip(), suffix.strip())))
    return ", ".join(filter(None, (family.strip(), first)))


def _date(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 and value.isdigit() else value


def _pieces(text: str) -> Iterator[str]:
    """Return what may not be broken: words with the white space after them, and single Han characters."""
    piece = ""
    for character in text:
        if piece and _may_break(piece[-1], character):
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece


def _may_break(before: str, after: str) -> bool:
    if after in _SPACES or after in _MAY_NOT_BEGIN or before in _MAY_NOT_END:
        return False
    return before in _SPACES or _is_wide(before) or _is_wide(after)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
