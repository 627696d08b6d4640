"""Content of a draft, the same in every form: one content, several encoders.

It contains the sentences with the model's confidence in each, the notice that no one has verified
them, and the images that were read and left unread. An encoder adds nothing and omits nothing. No
setting removes the notice. The node's own words are in the report's language if
domain/drafts/fixed_texts.py has them in it, and in English otherwise.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from echo_node import __version__
from echo_node.domain.drafts.comparison import Comparison
from echo_node.domain.drafts.fixed_texts import ENGLISH, Words, words_of
from echo_node.domain.drafts.report import Band, EncodedDocument, ModelIdentity, Report, Sentence
from echo_node.domain.drafts.subject import Subject
from echo_node.domain.studies.attributes import StudyAttributes
from echo_node.domain.studies.study import HeaderRemark, SelectedImage, Selection, UnreadImage

MANUFACTURER = "echo-node"
BANNER = "AI DRAFT - UNVERIFIED"
"""Heading of every page, and description of the series, which is all that many lists show."""
DRAFT_NOTICE = ENGLISH.draft_notice
"""Notice in every document, regardless of its language."""
DEMONSTRATION_NOTICE = ENGLISH.demonstration_notice
"""Notice in every document of a demonstration model, regardless of its language."""
SHORT_DIGEST = 16
"""Number of characters of a checkpoint's digest that documents show."""

_RIGHT_TO_LEFT = {"ar", "fa", "he", "ur"}
_OVERRIDES = frozenset("\u202d\u202e")
"""Characters that display text in another order than it is written: 0.58 as 85.0."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A report, with everything else that its documents contain.

    Attributes:
        report: text that the model wrote.
        selection: images read and unread.
        study_instance_uid: UID of the study.
        revision: number of the study's revision, from 1.
        at: time at which the draft was made.
        comparison: result of the search for a prior; None if the search is turned off.
    """

    report: Report
    selection: Selection
    study_instance_uid: str
    revision: int
    at: datetime
    comparison: Comparison | None = None

    @property
    def attributes(self) -> StudyAttributes:
        """Attributes of patient, study and requests that its documents repeat."""
        return self.selection.primary.attributes

    @property
    def subject(self) -> Subject:
        """The patient and the orders of the study."""
        return Subject.of(self.attributes)


@dataclass(frozen=True, slots=True)
class Unmade:
    """Forms of a draft that could not be made, while others could.

    Attributes:
        draft: the draft, from which they can be made later in the same words.
        reasons: reasons for the operator, by kind; at least one.
    """

    draft: Draft
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UnmadeForm:
    """A form that could not be made before, and must be made now.

    Attributes:
        kind: the form.
        draft: the draft.
        predecessor: document of this form that the new one replaces; None without one.
    """

    kind: str
    draft: Draft
    predecessor: EncodedDocument | None


class SectionName(StrEnum):
    """Sections in their order. The values are the names of headings in sr_codes.toml."""

    SUMMARY = "summary"
    PRIOR = "prior_procedure_descriptions"
    FINDINGS = "findings"
    IMPRESSIONS = "impressions"
    PROCEDURE = "current_procedure_descriptions"


@dataclass(frozen=True, slots=True)
class Section:
    """A section. `is_written`: the model wrote its paragraphs, in the language of the report."""

    name: SectionName
    paragraphs: tuple[str, ...]
    is_written: bool


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that a document says, the most important first."""

    language: str
    sections: tuple[Section, ...]

    @property
    def is_right_to_left(self) -> bool:
        """Whether the report's language is written from right to left."""
        return self.language.partition("-")[0].lower() in _RIGHT_TO_LEFT


def compose(draft: Draft) -> Content:
    """Return the content of every document of this draft."""
    report, selection = draft.report, draft.selection
    words = words_of(report.language)
    findings = _sentences(report.findings, words) or (words.no_findings,)
    impression = _sentences(report.impression, words) or (words.no_impression,)
    prior = draft.comparison.paragraphs(words) if draft.comparison else ()
    unstated = () if selection.primary.is_orientation_stated else (words.unstated_orientation,)
    procedure = (
        *_what_was_read(report, selection.images, words),
        *_of_doubts(report, words),
        *_of_comparisons(report, words),
        *remarks_on(selection.images, words),
        *unstated,
        *_ignored(selection.images, words),
        *_what_was_not(selection.unread, words),
    )
    return Content(
        report.language,
        (
            Section(SectionName.SUMMARY, notices(report.model, report.language), is_written=False),
            *([Section(SectionName.PRIOR, tuple(map(printable, prior)), is_written=False)] if prior else []),
            Section(SectionName.FINDINGS, findings, is_written=True),
            Section(SectionName.IMPRESSIONS, impression, is_written=True),
            Section(SectionName.PROCEDURE, tuple(map(printable, procedure)), is_written=False),
        ),
    )


def remarks_on(images: Sequence[SelectedImage], words: Words = ENGLISH) -> tuple[str, ...]:
    """Return remarks for the reader on how the images were recognised and read."""
    remarks = {
        words.recognised_body_part: not all(image.is_body_part_stated for image in images),
        words.recognised_view: not all(image.is_view_stated for image in images),
        words.looks_doubtful: any(image.looks_doubtful for image in images),
        words.looks_mirrored: any(image.looks_mirrored for image in images),
        words.companion: any(image.kind.companion for image in images),
    }
    of_headers = {
        words.repaired_text: HeaderRemark.REPAIRED_TEXT,
        words.unreadable_text: HeaderRemark.UNREADABLE_TEXT,
        words.other_display: HeaderRemark.OTHER_DISPLAY,
        words.range_displayed: HeaderRemark.RANGE_DISPLAYED,
        words.padding_ignored: HeaderRemark.PADDING_IGNORED,
    }
    found = {each for image in images for each in image.header_remarks}
    remarks |= {remark: kind in found for remark, kind in of_headers.items()}
    return tuple(remark for remark, applies in remarks.items() if applies)


def notices(model: ModelIdentity, language: str) -> tuple[str, ...]:
    """Return the notices, in the language of the report and always in English."""
    spoken = dict.fromkeys((words_of(language), ENGLISH))
    return tuple(
        f"{words.demonstration_notice} {words.draft_notice}" if model.demonstration else words.draft_notice
        for words in spoken
    )


def printable(value: str) -> str:
    """Return *value* without characters that no form can contain or display as written.

    They are control characters (PS3.5 6.1.3), lone surrogates, and overrides of the text direction.
    """
    return "".join(each for each in value if _is_printable(each)).strip()


def _is_printable(character: str) -> bool:
    if character in "\n\r\t":
        return True
    return character not in _OVERRIDES and unicodedata.category(character) not in {"Cc", "Cs"}


def _sentences(sentences: Sequence[Sentence], words: Words) -> tuple[str, ...]:
    shown = ((printable(sentence.text), sentence) for sentence in sentences)
    return tuple(_with_marks(text, sentence, words) for text, sentence in shown if text)


def _with_marks(text: str, sentence: Sentence, words: Words) -> str:
    """Return a sentence with the model's confidence in words, and with a mark if that is low.

    A sentence that speaks of a comparison has its own mark, and so has one that may be garbled.
    Neither has a high or moderate confidence: how often such sentences are correct was not
    measured.
    """
    if sentence.speaks_of_comparison:
        text = f"{words.uncompared_mark} {text}"
    if sentence.doubt:
        text = f"{words.garbled_mark} {text}"
    if sentence.band is Band.LOW:
        return f"{words.unsure_mark} {text}"
    if sentence.band is None or sentence.speaks_of_comparison or sentence.doubt:
        return text
    # Not by str.format: the sentence may contain braces.
    return (words.high if sentence.band is Band.HIGH else words.moderate).replace("{sentence}", text)


def _of_comparisons(report: Report, words: Words) -> Iterable[str]:
    count = sum(each.speaks_of_comparison for each in (*report.findings, *report.impression))
    if count:
        speaks = words.uncompared_one if count == 1 else words.uncompared
        yield speaks.format(count=count, mark=words.uncompared_mark)


def _of_doubts(report: Report, words: Words) -> Iterable[str]:
    if count := len(report.doubts):
        garbled = words.garbled_one if count == 1 else words.garbled
        yield garbled.format(count=count, mark=words.garbled_mark)


def _what_was_read(report: Report, images: Sequence[SelectedImage], words: Words) -> Iterable[str]:
    model = report.model
    views = ", ".join(words.frontal if image.view == "frontal" else image.view for image in images)
    yield words.images_read.format(count=len(images), views=views)
    program = f"{MANUFACTURER} {__version__}"
    yield words.written_by.format(program=program, model=f"{model.name} {model.version}")


def _ignored(images: Sequence[SelectedImage], words: Words) -> Iterable[str]:
    keywords = sorted({keyword for image in images for keyword in image.attributes.ignored})
    if keywords:
        yield words.ignored_values.format(keywords=", ".join(keywords))


def _what_was_not(unread: Sequence[UnreadImage], words: Words) -> Iterable[str]:
    by_reason: dict[str, list[str]] = {}
    for image in unread:
        by_reason.setdefault(image.reason, []).append(image.identity.sop_instance_uid)
    for reason, uids in by_reason.items():
        said = words.not_read_one if len(uids) == 1 else words.not_read
        yield said.format(count=len(uids), reason=reason, uids=", ".join(uids))
