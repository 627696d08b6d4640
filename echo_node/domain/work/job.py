"""Drafting jobs and deliveries: their states, leases, and claimed work items."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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
