"""Work items: their states, claims, leases and retries."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class JobState(StrEnum):
    """State of a drafting job; a newer revision of its study supersedes it."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    DEAD = "dead"
    SUPERSEDED = "superseded"


class DeliveryState(StrEnum):
    """State of a delivery: one document to one destination.

    Stopped: its draft was withdrawn before the destination confirmed it.
    """

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DELIVERED_WITH_WARNING = "delivered_with_warning"
    STOPPED = "stopped"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with equal jitter and a cap.

    Attributes:
        attempts: number of tries before a work item becomes a dead letter.
        first_delay_s: longest delay after the first failure, in seconds; doubles with each failure.
        longest_delay_s: cap of the delay, in seconds.
    """

    attempts: int
    first_delay_s: float
    longest_delay_s: float

    def is_exhausted(self, attempt: int) -> bool:
        """Return whether *attempt* (the first is 1) was the last."""
        return attempt >= self.attempts

    def delay(self, attempt: int, randomness: random.Random) -> timedelta:
        """Return the delay after the failure of *attempt*: between half and all of the backoff."""
        longest = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, 60))
        return timedelta(seconds=randomness.uniform(longest / 2, longest))


@dataclass(frozen=True, slots=True)
class Lease:
    """Claim of a worker on one row, until `expires_at`.

    Attributes:
        row_id: surrogate id of the job or delivery.
        attempt: number of all claims on the row so far; it fences off earlier holders.
        tries: number of claims since the row was created or last released by an operator.
        holder: name of the worker.
        expires_at: time at which other workers may claim the row, unless the lease is renewed.
    """

    row_id: int
    attempt: int
    tries: int
    holder: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DraftJob:
    """Claimed study revision to draft."""

    lease: Lease
    study_id: int
    study_instance_uid: str
    revision: int


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """Claimed document to send to one destination (the configured name of a peer)."""

    lease: Lease
    study_id: int
    destination: str
    document_id: int
