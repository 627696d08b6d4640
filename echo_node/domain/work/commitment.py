"""Storage commitment in both directions (PS3.4 Annex J): our requests, and those of modalities.

A commitment is our storage commitment request to a destination, for a document. A commitment
request is a modality's request for its images. The node sends it to the archive and forwards the
result. Modalities delete images after that result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from echo_node.domain.work.job import Lease


class CommitmentState(StrEnum):
    """State of our storage commitment request to a destination, for a document that we sent it."""

    PENDING = "pending"
    ASKING = "asking"
    ASKED = "asked"
    COMMITTED = "committed"
    DEAD = "dead"


class CommitmentRequestState(StrEnum):
    """State of a modality's request: first the archive is asked, then the modality is answered."""

    PENDING = "pending"
    ASKING = "asking"
    ASKED = "asked"
    SETTLED = "settled"
    ANSWERING = "answering"
    ANSWERED = "answered"
    DEAD = "dead"


class FailureReason(IntEnum):
    """Failure Reason (0008,1197) of an instance that was not committed (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION_UID = 0x0131
    RESOURCE_LIMITATION = 0x0213


COMMITTED = 0
"""Status of an instance that the peer has committed to, instead of a failure reason."""


@dataclass(frozen=True, slots=True, order=True)
class ReferencedInstance:
    """Instance as named in requests and results; both UIDs have been checked."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """Request of a modality.

    Attributes:
        calling_ae_title: AE title of the modality, which receives the answer.
        called_ae_title: AE title that the modality called; the answer is sent under it.
        transaction_uid: Transaction UID of the request, made by the modality.
        instances: requested instances.
    """

    calling_ae_title: str
    called_ae_title: str
    transaction_uid: str
    instances: frozenset[ReferencedInstance]


@dataclass(frozen=True, slots=True)
class CommitmentJob:
    """Claimed request to a destination or archive.

    Attributes:
        lease: claim on this request.
        destination: configured name of the peer.
        transaction_uid: Transaction UID; the result may arrive much later, on another association.
        instances: instances to commit to.
    """

    lease: Lease
    destination: str
    transaction_uid: str
    instances: tuple[ReferencedInstance, ...]


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """Result of a request (PS3.4 J.3.3).

    Attributes:
        transaction_uid: Transaction UID of the request.
        committed: instances that the peer has committed to.
        failed: failure reason of each other instance, by SOP Instance UID.
    """

    transaction_uid: str
    committed: frozenset[ReferencedInstance]
    failed: Mapping[str, int]

    def __post_init__(self) -> None:
        if COMMITTED in self.failed.values():
            raise ValueError("failed instances need a non-zero failure reason; 0 means committed")

    def status_of(self, instance: ReferencedInstance) -> int | None:
        """Return COMMITTED, the failure reason, or None if the report does not name the instance.

        A commitment to the same UID under another SOP class does not count.
        """
        if instance.sop_instance_uid in self.failed:
            return self.failed[instance.sop_instance_uid]
        return COMMITTED if instance in self.committed else None


@dataclass(frozen=True, slots=True)
class AnswerJob:
    """Claimed answer to a modality.

    Attributes:
        lease: claim on this answer.
        ae_title: AE title of the modality.
        own_ae_title: AE title that the modality called.
        transaction_uid: Transaction UID of its request.
        archive_ae_title: AE title of the archive that committed, for retrieval.
        statuses: status of each instance: COMMITTED or the failure reason.
    """

    lease: Lease
    ae_title: str
    own_ae_title: str
    transaction_uid: str
    archive_ae_title: str
    statuses: Mapping[ReferencedInstance, int]
