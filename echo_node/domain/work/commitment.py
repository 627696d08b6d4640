"""Storage commitment, both ways round (PS3.4 Annex J): destinations answer us, and we answer modalities.

A commitment is our question whether a destination answers for a document. A promise is a modality's question
whether its images are safe: the archive is asked, and its word is passed on. Modalities delete on that word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from echo_node.domain.work.job import Lease


class CommitmentState(StrEnum):
    """Where the asking of a destination stands whether it answers for a document that it was sent."""

    PENDING = "pending"
    ASKING = "asking"
    ASKED = "asked"
    COMMITTED = "committed"
    DEAD = "dead"


class CommitmentRequestState(StrEnum):
    """Where a modality's request stands: first the archive is asked, then the modality is answered."""

    PENDING = "pending"
    ASKING = "asking"
    ASKED = "asked"
    SETTLED = "settled"
    ANSWERING = "answering"
    ANSWERED = "answered"
    DEAD = "dead"


class FailureReason(IntEnum):
    """Why nobody answers for an instance (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION_UID = 0x0131
    RESOURCE_LIMITATION = 0x0213


COMMITTED = 0
"""What stands in the place of a failure reason where somebody answers for the instance."""


@dataclass(frozen=True, slots=True, order=True)
class ReferencedInstance:
    """An instance as it is named in questions and answers; both UIDs have been checked."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """What a modality asks of us.

    Attributes:
        calling_ae_title: who asks, and will be answered.
        called_ae_title: by which name we were called; the answer comes under it.
        transaction_uid: names the request; the modality made it.
        instances: what it asks about, each once.
    """

    calling_ae_title: str
    called_ae_title: str
    transaction_uid: str
    instances: frozenset[ReferencedInstance]


@dataclass(frozen=True, slots=True)
class CommitmentJob:
    """A claimed question to a destination or archive.

    Attributes:
        lease: the right to ask.
        destination: who is asked, by configured name.
        transaction_uid: names this question; the answer may come much later, on another association.
        instances: what it shall answer for.
    """

    lease: Lease
    destination: str
    transaction_uid: str
    instances: tuple[ReferencedInstance, ...]


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What a peer says of a question (PS3.4 J.3.3).

    Attributes:
        transaction_uid: the question's.
        committed: what it answers for.
        failed: the SOP Instance UIDs that it does not answer for, with the failure reason of each.
    """

    transaction_uid: str
    committed: frozenset[ReferencedInstance]
    failed: Mapping[str, int]

    def __post_init__(self) -> None:
        if COMMITTED in self.failed.values():
            raise ValueError("a failure has a reason")

    def status_of(self, instance: ReferencedInstance) -> int | None:
        """Return COMMITTED, the failure reason, or None where the report says nothing of the instance.

        Who answers for an instance of another SOP class answers for something else.
        """
        if instance.sop_instance_uid in self.failed:
            return self.failed[instance.sop_instance_uid]
        return COMMITTED if instance in self.committed else None


@dataclass(frozen=True, slots=True)
class AnswerJob:
    """A claimed answer to a modality.

    Attributes:
        lease: the right to give it.
        ae_title: whose it is.
        own_ae_title: by which name it called us.
        transaction_uid: of its request.
        archive_ae_title: who answers for what is committed, and where it can be had.
        statuses: of each instance: COMMITTED or the failure reason.
    """

    lease: Lease
    ae_title: str
    own_ae_title: str
    transaction_uid: str
    archive_ae_title: str
    statuses: Mapping[ReferencedInstance, int]
