"""Work that is claimed, leased, retried and, at the end of patience, set aside."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class JobState(StrEnum):
    """Where a drafting job stands; a newer revision of its study supersedes it."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    DEAD = "dead"
    SUPERSEDED = "superseded"


class DeliveryState(StrEnum):
    """Where a document stands on its way to one destination.

    Stopped: its draft was withdrawn before the destination was known to have it.
    """

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DELIVERED_WITH_WARNING = "delivered_with_warning"
    STOPPED = "stopped"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter and a cap.

    Attributes:
        attempts: how often work is tried before it becomes a dead letter.
        first_delay_s: the longest wait after the first failure; it doubles with each further one.
        longest_delay_s: the cap.
    """

    attempts: int
    first_delay_s: float
    longest_delay_s: float

    def is_exhausted(self, attempt: int) -> bool:
        """Say whether *attempt* (the first is 1) was the last."""
        return attempt >= self.attempts

    def delay(self, attempt: int, randomness: random.Random) -> timedelta:
        """Return how long to wait after the failure of *attempt*: between half and all of the back-off."""
        longest = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, 60))
        return timedelta(seconds=randomness.uniform(longest / 2, longest))


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one row until `expires_at`.

    Attributes:
        row_id: the job's or delivery's surrogate id.
        attempt: counts every claim, for ever; it fences off earlier holders.
        tries: counts the claims since the work was made or last released by an operator.
        holder: which worker has it.
        expires_at: when others may take it, unless it is renewed.
    """

    row_id: int
    attempt: int
    tries: int
    holder: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DraftJob:
    """A claimed study revision to draft."""

    lease: Lease
    study_id: int
    study_instance_uid: str
    revision: int


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """A claimed document to send to one destination (a peer's configured name)."""

    lease: Lease
    study_id: int
    destination: str
    document_id: int
