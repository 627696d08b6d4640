"""What a draft says, whatever form it is given: one content, several encoders.

The sentences with how sure the model is of each, the notice that nobody has verified them, what was read and
what was not: an encoder adds nothing to it and leaves nothing out. No setting takes the notice away.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum

from echo_node import __version__
from echo_node.domain.comparison import Comparison
from echo_node.domain.report import Band, ModelIdentity, Report, Sentence
from echo_node.domain.study import SelectedImage, Selection, UnreadImage

MANUFACTURER = "echo-node"
BANNER = "AI DRAFT - UNVERIFIED"
"""Heads every page, and is the series' description, which is all that many lists show."""
DRAFT_NOTICE = (
    "UNVERIFIED MACHINE DRAFT. A computer program wrote this text; no physician has read it. "
    "A radiologist must check it against the images before anyone relies on it."
)
DEMONSTRATION_NOTICE = "DEMONSTRATION MODEL, NOT FOR CLINICAL USE."
UNSURE_MARK = "[LOW CONFIDENCE]"
"""Stands before a sentence of which the model is unsure."""
UNCOMPARED_MARK = "[NO COMPARISON WAS MADE]"
"""Stands before a sentence that speaks of a comparison: the model reads one image and no earlier one."""
UNSTATED_ORIENTATION = (
    "The header does not state the orientation of the image: left and right assume that it is not mirrored."
)
SHORT_DIGEST = 16
"""How much of a checkpoint's digest is shown."""

_RIGHT_TO_LEFT = {"ar", "fa", "he", "ur"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A report and what a document of it is made from.

    Attributes:
        report: what the model wrote.
        selection: the images read and unread; at least one was read.
        study_instance_uid: the study that it belongs to.
        revision: counts the study's drafts from 1.
        at: when it was made.
        comparison: what came of looking for a prior; None if none is looked for.
    """

    report: Report
    selection: Selection
    study_instance_uid: str
    revision: int
    at: datetime
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme, meaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Order:
    """One request that the images were made for; what its header does not say is empty."""

    accession_number: str = field(default="", repr=False)
    placer_number: str = field(default="", repr=False)
    filler_number: str = field(default="", repr=False)
    procedure_id: str = field(default="", repr=False)
    procedure_description: str = field(default="", repr=False)
    procedure_code: Code | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose images they are, by the header of the image read: patient data, empty where it is silent.

    Attributes:
        patient_name: DICOM's person name (PS3.5 6.2.1): up to three component groups, `=` between them.
        patient_id: the identifier.
        issuer_of_patient_id: who gave it.
        birth_date: DICOM's date, YYYYMMDD.
        sex: DICOM's code.
        referring_physician: a person name.
        study_date: DICOM's date.
        study_time: DICOM's time.
        study_description: in the sender's words.
        orders: at least one.
        zone: what the dates and times of the image are in; None if it does not say.
        is_oriented: whether it says which side is left.
    """

    patient_name: str = field(repr=False)
    patient_id: str = field(repr=False)
    issuer_of_patient_id: str = field(repr=False)
    birth_date: str = field(repr=False)
    sex: str = field(repr=False)
    referring_physician: str = field(repr=False)
    study_date: str = field(repr=False)
    study_time: str = field(repr=False)
    study_description: str = field(repr=False)
    orders: tuple[Order, ...] = field(repr=False)
    zone: tzinfo | None
    is_oriented: bool


class SectionName(StrEnum):
    """The sections in their order; the values are the names of headings in sr_codes.toml."""

    SUMMARY = "summary"
    PRIOR = "prior_procedure_descriptions"
    FINDINGS = "findings"
    IMPRESSIONS = "impressions"
    PROCEDURE = "current_procedure_descriptions"


@dataclass(frozen=True, slots=True)
class Section:
    """A section's paragraphs; `is_written` says that they are the model's, in the report's language."""

    name: SectionName
    paragraphs: tuple[str, ...]
    is_written: bool


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that a document says, in order: what a reader must know first comes first."""

    language: str
    sections: tuple[Section, ...]

    @property
    def is_right_to_left(self) -> bool:
        """Whether the report's language is written from right to left."""
        return self.language.partition("-")[0].lower() in _RIGHT_TO_LEFT


def compose(draft: Draft, subject: Subject) -> Content:
    """Return what every document of this draft says."""
    report, selection = draft.report, draft.selection
    findings = _sentences(report.findings) or ("The model wrote no findings.",)
    impression = _sentences(report.impression) or ("The model wrote no impression.",)
    prior = draft.comparison.paragraphs() if draft.comparison else ()
    remarks = (*_of_comparisons(report), *(() if subject.is_oriented else (UNSTATED_ORIENTATION,)))
    procedure = (*_what_was_read(report, selection.images), *remarks, *_what_was_not(selection.unread))
    return Content(
        report.language,
        (
            Section(SectionName.SUMMARY, (notice(report.model),), is_written=False),
            *([Section(SectionName.PRIOR, tuple(map(printable, prior)), is_written=False)] if prior else []),
            Section(SectionName.FINDINGS, findings, is_written=True),
            Section(SectionName.IMPRESSIONS, impression, is_written=True),
            Section(SectionName.PROCEDURE, tuple(map(printable, procedure)), is_written=False),
        ),
    )


def notice(model: ModelIdentity) -> str:
    """Return what a reader must know before anything else."""
    return f"{DEMONSTRATION_NOTICE} {DRAFT_NOTICE}" if model.demonstration else DRAFT_NOTICE


def printable(value: str) -> str:
    """Return *value* without what no form can hold: control characters (PS3.5 6.1.3) and lone surrogates."""
    kept = (each for each in value if each in "\n\r\t" or unicodedata.category(each) not in {"Cc", "Cs"})
    return "".join(kept).strip()


def _sentences(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    shown = ((printable(sentence.text), sentence) for sentence in sentences)
    return tuple(_with_marks(text, sentence) for text, sentence in shown if text)


def _with_marks(text: str, sentence: Sentence) -> str:
    """Return a sentence with how sure the model is of it, in words; a mark before it where it is not.

    One that speaks of a comparison has its own mark, and is never called sure: how often such sentences are
    right was not measured.
    """
    if sentence.speaks_of_comparison:
        text = f"{UNCOMPARED_MARK} {text}"
    if sentence.band is Band.LOW:
        return f"{UNSURE_MARK} {text}"
    if sentence.band is None or sentence.speaks_of_comparison:
        return text
    return f"{text} ({sentence.band})"


def _of_comparisons(report: Report) -> Iterable[str]:
    count = sum(each.speaks_of_comparison for each in (*report.findings, *report.impression))
    if count:
        speak = "1 sentence speaks" if count == 1 else f"{count} sentences speak"
        yield f"{speak} of a comparison, marked {UNCOMPARED_MARK}: the model saw no earlier image."


def _what_was_read(report: Report, images: Sequence[SelectedImage]) -> Iterable[str]:
    model = report.model
    views = ", ".join(
        "frontal (PA or AP not stated)" if image.view == "frontal" else image.view for image in images
    )
    yield f"Images read: {len(images)}. View: {views}. No other image, prior or clinical data was used."
    yield f"Written by {MANUFACTURER} {__version__} with model {model.name} {model.version}."


def _what_was_not(unread: Sequence[UnreadImage]) -> Iterable[str]:
    by_reason: dict[str, list[str]] = {}
    for image in unread:
        by_reason.setdefault(image.reason, []).append(image.identity.sop_instance_uid)
    for reason, uids in by_reason.items():
        count = "1 image" if len(uids) == 1 else f"{len(uids)} images"
        yield f"Not read, {count}: {reason}. SOP Instance UID: {', '.join(uids)}"
