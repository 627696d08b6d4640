"""The report that a model wrote, and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from echo_node.domain.drafts.comparison import speaks_of_comparison

_UNSURE, _SURE = 0.5, 0.9


class Band(StrEnum):
    """The model's confidence in a sentence; domain/drafts/fixed_texts.py has the words for it.

    Low: such a sentence is more often wrong than correct. High: it is correct nine times in ten.
    """

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Identity of the model that wrote a draft.

    Attributes:
        name: name for people, such as `echo-demo`.
        version: version of the checkpoint.
        digest: SHA-256 of the checkpoint's files, hexadecimal.
        demonstration: whether the model must not be used on patients.
    """

    name: str
    version: str
    digest: str
    demonstration: bool


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a section.

    Attributes:
        text: the sentence.
        confidence: share of such sentences that are correct, in [0, 1]; None if not measured.
        doubt: reason why its wording may be garbled, which quotes nothing; empty if it is sound.
    """

    text: str
    confidence: float | None = None
    doubt: str = ""

    @property
    def band(self) -> Band | None:
        """Confidence in words; None if the decoder did not measure it."""
        if self.confidence is None:
            return None
        if self.confidence < _UNSURE:
            return Band.LOW
        return Band.HIGH if self.confidence >= _SURE else Band.MODERATE

    @property
    def is_unsure(self) -> bool:
        """Whether such a sentence is more often wrong than correct."""
        return self.band is Band.LOW

    @property
    def speaks_of_comparison(self) -> bool:
        """Whether it speaks of a change or of an earlier study, which the model did not see."""
        return speaks_of_comparison(self.text)


@dataclass(frozen=True, slots=True)
class Generation:
    """Cost of the text: tokens up to the end of sequence, forward passes, seconds."""

    decoder: str
    tokens: int
    forwards: int
    seconds: float

    @property
    def tokens_per_forward(self) -> float:
        """Tokens written per forward pass of the language model after the prefill."""
        return self.tokens / self.forwards if self.forwards else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """A report: its sections in sentences, their language (RFC 5646), and their origin.

    A section that the model left out is empty, and the document says so. At least one has text.
    """

    findings: tuple[Sentence, ...]
    impression: tuple[Sentence, ...]
    language: str
    model: ModelIdentity
    generation: Generation

    @property
    def doubts(self) -> tuple[str, ...]:
        """The reason for each sentence whose wording may be garbled."""
        return tuple(each.doubt for each in (*self.findings, *self.impression) if each.doubt)

    def __post_init__(self) -> None:
        if not self.findings and not self.impression:
            raise ValueError("a report needs findings or an impression")


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """A draft in one of its forms, byte for byte as it is sent and resent.

    Attributes:
        kind: the form, such as `basic-text-sr`.
        study_instance_uid: UID of the study.
        sop_instance_uid: UID of the document; the same inputs give the same UID.
        sop_class_uid: SOP Class UID; empty for an HL7 message.
        transfer_syntax_uid: transfer syntax; empty for an HL7 message.
        content: the whole PS3.10 file, or the HL7 message.
    """

    kind: str
    study_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    content: bytes

    @property
    def is_dicom(self) -> bool:
        """Whether it is a DICOM object."""
        return bool(self.sop_class_uid)
