"""The draft as a page: its paragraphs in order, and their line breaks.

The PDF and the Secondary Capture are made from the same paragraphs. They state the patient and the
order like the Structured Report, and nothing more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum, auto

from echo_node import codes
from echo_node.dicom.documents.fonts import MISSING, Family, Fonts, find_fonts
from echo_node.domain.drafts.draft import Draft, SectionName, compose, printable
from echo_node.domain.drafts.fixed_texts import Words, words_of
from echo_node.domain.drafts.subject import Subject
from echo_node.errors import PermanentError

_BREAK = re.compile("\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
"""Characters that end a paragraph: text shaping (Raqm) fails on some of them."""
_SPACES, _NO_BREAK = " \u3000", "\u00a0"
_MAY_NOT_BEGIN = frozenset(".,:;!?)]}、。，．・：；？！ー」』）】〉》〕｝々…％")  # noqa: RUF001 - full width is meant
_MAY_NOT_END = frozenset("「『（【〈《〔｛")  # noqa: RUF001


# Exceptions of libraries for text that they cannot draw. They must not stop the other forms.
_DRAWING_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip


@contextmanager
def drawing(what: str, *more: type[Exception]) -> Iterator[None]:
    """Convert exceptions of drawing libraries into a PermanentError that names *what*.

    Args:
        what: name of the drawing.
        more: a library's own exceptions.
    """
    errors: tuple[type[Exception], ...] = (*_DRAWING_ERRORS, *more)
    try:
        yield
    except errors as error:
        raise PermanentError(f"{what} cannot be drawn ({type(error).__name__})") from error


class Style(Enum):
    """Style of a paragraph."""

    IDENTITY = auto()
    NOTICE = auto()
    HEADING = auto()
    BODY = auto()
    UNSURE = auto()
    SMALL = auto()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph in one font."""

    style: Style
    text: str
    family: Family
    is_right_to_left: bool = False


def paragraphs(draft: Draft, zone: tzinfo | None) -> list[Paragraph]:
    """Return the paragraphs of the page, without the banner.

    Args:
        draft: the draft.
        zone: time zone if the image states none; None means the machine's.
    """
    subject = draft.subject
    content, fonts = compose(draft), find_fonts(draft.report.language)
    words = words_of(draft.report.language)
    made_at = draft.at.astimezone(subject.zone or zone)
    set_ = [_set(Style.IDENTITY, line, fonts) for line in _identity(subject, made_at, words)]
    for section in content.sections:
        set_.append(_set(Style.HEADING, _heading(section.name, words), fonts))
        rtl = section.is_written and content.is_right_to_left
        set_ += [_set(_style(section.name, text, words), text, fonts, rtl=rtl) for text in section.paragraphs]
    if any(MISSING in paragraph.text for paragraph in set_):
        set_.append(_set(Style.SMALL, words.missing_note.format(box=MISSING), fonts))
    return set_


def lines(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    """Break a paragraph into lines no wider than *width*, if single characters allow it."""
    for part in _BREAK.split(text.replace("\t", "    ")):
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


def _heading(name: SectionName, words: Words) -> str:
    """Return a heading in the report's language, and in English as in the other forms."""
    coded = codes.code("heading", name).meaning
    spoken = {
        SectionName.SUMMARY: words.summary,
        SectionName.PRIOR: words.priors,
        SectionName.FINDINGS: words.findings,
        SectionName.IMPRESSIONS: words.impressions,
        SectionName.PROCEDURE: words.procedure,
    }
    return " ".join(dict.fromkeys((spoken[name], coded)))


def _style(section: SectionName, text: str, words: Words) -> Style:
    if section is SectionName.SUMMARY:
        return Style.NOTICE
    if section is SectionName.PROCEDURE:
        return Style.SMALL
    marks = (words.unsure_mark, words.garbled_mark, words.uncompared_mark)
    return Style.UNSURE if text.startswith(marks) else Style.BODY


def _identity(subject: Subject, made_at: datetime, words: Words) -> Iterator[str]:
    """Yield the lines that identify patient and study, with a note for missing values."""
    names = [_spoken(group) for group in printable(subject.patient_name).split("=")]
    yield words.patient.replace("{names}", " / ".join(filter(None, names)) or words.no_name)
    stated = {
        words.patient_id: subject.patient_id,
        words.born: _date(subject.birth_date),
        words.sex: subject.sex,
        words.study: _date(subject.study_date),
        words.accession: ", ".join(
            dict.fromkeys(order.accession_number for order in subject.orders if order.accession_number)
        ),
        words.drafted: f"{made_at:%Y-%m-%d %H:%M}",
    }
    kept_together = [
        f"{name}: {printable(value) or words.not_stated}".replace(" ", _NO_BREAK)
        for name, value in stated.items()
    ]
    # Labels of Han characters may break anywhere: they get shorter lines.
    in_a_line = 3 if any(map(_is_wide, words.drafted)) else len(kept_together)
    for first in range(0, len(kept_together), in_a_line):
        yield "   ".join(kept_together[first : first + in_a_line])


def _spoken(group: str) -> str:
    """Return a component group of a person name in reading form."""
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    first = " ".join(filter(None, (prefix.strip(), given.strip(), middle.strip(), suffix.strip())))
    return ", ".join(filter(None, (family.strip(), first)))


def _date(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 and value.isdigit() else value


def _pieces(text: str) -> Iterator[str]:
    """Yield unbreakable pieces: words with trailing white space, and single Han characters."""
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
