"""Withdrawal of drafts: its reasons, its states, and the notes that destinations receive.

Every destination that has a draft, or may have it, receives a note about it. For DICOM objects it
is a Key Object Selection that rejects them (IHE IOCM), for an HL7 message it is a correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.work.job import Lease


class WithdrawalReason(StrEnum):
    """Reason for a withdrawal: a document title of IHE IOCM ([rejection] in sr_codes.toml)."""

    QUALITY = "quality"
    PATIENT_SAFETY = "patient-safety"
    WORKLIST = "worklist"
    RETENTION = "retention"


class WithdrawalState(StrEnum):
    """State of a withdrawal: its notes are made and stored, and then delivered like documents."""

    PENDING = "pending"
    PREPARING = "preparing"
    PREPARED = "prepared"
    DEAD = "dead"


class NoteKind(StrEnum):
    """Form of a withdrawal note.

    It matches the form of the drafts that the destination received, regardless of its `kinds`.
    """

    REJECTION_NOTE = "rejection-note"
    ORU_R01_WITHDRAWAL = "oru-r01-withdrawal"


@dataclass(frozen=True, slots=True)
class WithdrawalJob:
    """Claimed withdrawal whose notes are not yet made.

    Attributes:
        lease: claim on this withdrawal.
        study_id: study whose drafts are withdrawn.
        revision: last revision to withdraw.
        reason: reason stated in the notes.
        at: time of the request, and date of the notes.
    """

    lease: Lease
    study_id: int
    revision: int
    reason: WithdrawalReason
    at: datetime


@dataclass(frozen=True, slots=True)
class WithdrawnDrafts:
    """Withdrawn drafts of one note.

    Attributes:
        documents: all DICOM objects, or one HL7 message; the latest revision last.
        destinations: configured names of the destinations that receive the note.
        reason: reason for the withdrawal.
        at: time of the request.
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
        read: SOP Instance UIDs of the images that they were made from.
    """

    documents: tuple[EncodedDocument, ...]
    late: frozenset[str]
    read: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class IdentityConflict:
    """Contradiction in what belongs to a study: no draft may be made, and none may stand.

    Attributes:
        reason: reason stated in the notes, if a draft is withdrawn for it.
        explanation: the contradiction for the operator; it names attributes, never their values.
        attributes: DICOM keywords of the attributes that differ, in the order of
            domain.studies.identity; empty if a Key Object rejected an image.
        newer: SHA-256 of the data sets of the objects that contradict the first one, or the
            standing draft, in order of arrival: what `keep` excludes from the study.
        older: SHA-256 of the data sets of the objects that the newest of those contradicts: what
            `replace` excludes.
    """

    reason: WithdrawalReason
    explanation: str
    attributes: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    older: tuple[str, ...] = ()
