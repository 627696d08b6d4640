"""Drafting jobs and deliveries: their states, and what a worker that claims one receives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from echo_node.domain.work.lease import Lease


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
