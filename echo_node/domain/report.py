"""The draft report and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

_UNSURE = 0.5


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
    def is_unsure(self) -> bool:
        """Whether a sentence like this one is more often wrong than right."""
        return self.confidence is not None and self.confidence < _UNSURE


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
    """A draft as a DICOM object, byte for byte what is sent, now and on every resend.

    `part10` is the whole PS3.10 file. `kind` names the document kind, such as `basic-text-sr`.
    """

    kind: str
    study_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    part10: bytes
