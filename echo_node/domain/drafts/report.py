"""The draft report and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from echo_node.domain.drafts.comparison import speaks_of_comparison

_UNSURE, _SURE = 0.5, 0.9


class Band(StrEnum):
    """How sure the model is of a sentence; the words for it stand in domain/drafts/words.py.

    Low: a sentence like this one is more often wrong than right. High: it is right nine times in ten.
    """

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model wrote a draft.

    Attributes:
        name: for people, such as `echo-demo`.
        version: the checkpoint's version.
        digest: SHA-256 over the checkpoint's files, hexadecimal.
        demonstration: true for a model that must not be used on patients.
    """

    name: str
    version: str
    digest: str
    demonstration: bool


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a section; `confidence` in [0, 1] where the decoder measured one."""

    text: str
    confidence: float | None = None

    @property
    def band(self) -> Band | None:
        """How sure the model is; None where the decoder measured nothing."""
        if self.confidence is None:
            return None
        if self.confidence < _UNSURE:
            return Band.LOW
        return Band.HIGH if self.confidence >= _SURE else Band.MODERATE

    @property
    def is_unsure(self) -> bool:
        """Whether a sentence like this one is more often wrong than right."""
        return self.band is Band.LOW

    @property
    def speaks_of_comparison(self) -> bool:
        """Whether it tells of a change or of an earlier study, which no model here has seen."""
        return speaks_of_comparison(self.text)


@dataclass(frozen=True, slots=True)
class Generation:
    """How the text was made: tokens up to the end of sequence, forwards of the model, seconds."""

    decoder: str
    tokens: int
    forwards: int
    seconds: float

    @property
    def tokens_per_forward(self) -> float:
        """Tokens written for each forward of the language model after the prefill."""
        return self.tokens / self.forwards if self.forwards else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """A draft: sections in sentences, their language (RFC 5646), and their origin.

    A section that the model left out is empty, and the document says so. At least one is not.
    """

    findings: tuple[Sentence, ...]
    impression: tuple[Sentence, ...]
    language: str
    model: ModelIdentity
    generation: Generation

    def __post_init__(self) -> None:
        if not self.findings and not self.impression:
            raise ValueError("a report needs findings or an impression")


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """A draft in one of its forms, byte for byte what is sent, now and on every resend.

    Attributes:
        kind: the form, such as `basic-text-sr`.
        study_instance_uid: the study that it belongs to.
        sop_instance_uid: names it; the same inputs give the same one.
        sop_class_uid: of a DICOM object; empty for what is none, an HL7 message.
        transfer_syntax_uid: the same.
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
