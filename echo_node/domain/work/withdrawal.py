"""Taking drafts back: why, how far it is, and what it is told of by.

Every destination that has a draft, or may have it, gets a note about it: a Key Object Selection that rejects
it (IHE IOCM) where it went as DICOM objects, a correction where it went as an HL7 message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.work.job import Lease


class WithdrawalReason(StrEnum):
    """Why drafts are withdrawn: the document titles that IHE IOCM knows; [rejection] of sr_codes.toml."""

    QUALITY = "quality"
    PATIENT_SAFETY = "patient-safety"
    WORKLIST = "worklist"
    RETENTION = "retention"


class WithdrawalState(StrEnum):
    """How far a withdrawal is: its notes are made, stored, and then delivered like any document."""

    PENDING = "pending"
    PREPARING = "preparing"
    PREPARED = "prepared"
    DEAD = "dead"


class NoteKind(StrEnum):
    """The forms of a note; a destination gets that of the drafts that it got, whatever its `kinds` are."""

    REJECTION_NOTE = "rejection-note"
    ORU_R01_WITHDRAWAL = "oru-r01-withdrawal"


@dataclass(frozen=True, slots=True)
class WithdrawalJob:
    """A claimed withdrawal, of which the notes are to be made.

    Attributes:
        lease: the right to make them.
        study_id: whose drafts are withdrawn.
        revision: up to which revision of it.
        reason: the notes say so.
        at: when it was asked for; the notes are dated so.
    """

    lease: Lease
    study_id: int
    revision: int
    reason: WithdrawalReason
    at: datetime


@dataclass(frozen=True, slots=True)
class WithdrawnDrafts:
    """What one note is about.

    Attributes:
        documents: all DICOM objects, or one HL7 message; the latest revision last.
        destinations: who gets the note, by configured name.
        reason: why they are withdrawn.
        at: when.
    """

    documents: tuple[EncodedDocument, ...]
    destinations: tuple[str, ...]
    reason: WithdrawalReason
    at: datetime


@dataclass(frozen=True, slots=True)
class StandingDrafts:
    """Drafts of a study that have not been withdrawn.

    Attributes:
        documents: their readable documents.
        late: SOP Instance UIDs of the images that arrived after the latest of them was made.
    """

    documents: tuple[EncodedDocument, ...]
    late: frozenset[str]


@dataclass(frozen=True, slots=True)
class IdentityConflict:
    """Contradiction of a late image with a standing draft; `explanation` contains no patient data."""

    reason: WithdrawalReason
    explanation: str
