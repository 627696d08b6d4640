"""The states of a study and the one table of what may follow what.

The page docs/reference/lifecycle.md is generated from TRANSITIONS; the storage layer refuses every
change of state that is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StudyState(StrEnum):
    """Where a study stands on its way through the house."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    DRAFTING = "drafting"
    DRAFTED = "drafted"
    DELIVERED = "delivered"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    WITHDRAWING = "withdrawing"
    WITHDRAWN = "withdrawn"


class StudyEvent(StrEnum):
    """What can happen to a study."""

    INSTANCE_ARRIVED = "instance arrived"
    COMPLETED = "idle or time limit reached"
    CLAIMED = "worker claims the job"
    DRAFT_STORED = "draft encoded and stored"
    UNCHANGED = "same images as the earlier draft"
    NOT_ELIGIBLE = "not eligible"
    RETRY = "transient error or lease expired"
    GAVE_UP = "permanent error or attempts used up"
    RELEASED = "operator releases the dead letter"
    ALL_DELIVERED = "every destination confirmed"
    DELIVERY_GAVE_UP = "a destination refused for good"
    NOT_COMMITTED = "a destination does not answer for what it was sent"
    WITHDRAWN = "an operator withdraws it, or its identity changed"
    ALL_NOTIFIED = "every destination has the note"
    NOTE_GAVE_UP = "a destination refused the note"
    REDRAFT = "operator asks for a new draft"


@dataclass(frozen=True, slots=True)
class Transition:
    """From one state, on an event, to the next."""

    source: StudyState
    event: StudyEvent
    target: StudyState


_S, _E = StudyState, StudyEvent

TRANSITIONS: tuple[Transition, ...] = (
    Transition(_S.RECEIVING, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.RECEIVING, _E.COMPLETED, _S.QUEUED),
    Transition(_S.QUEUED, _E.CLAIMED, _S.DRAFTING),
    Transition(_S.DRAFTING, _E.DRAFT_STORED, _S.DRAFTED),
    # The earlier revision's draft still stands: no second draft of the same images.
    Transition(_S.DRAFTING, _E.UNCHANGED, _S.DRAFTED),
    Transition(_S.DRAFTING, _E.NOT_ELIGIBLE, _S.SKIPPED),
    Transition(_S.DRAFTING, _E.RETRY, _S.QUEUED),
    Transition(_S.DRAFTING, _E.GAVE_UP, _S.FAILED),
    Transition(_S.FAILED, _E.RELEASED, _S.QUEUED),
    Transition(_S.DRAFTED, _E.ALL_DELIVERED, _S.DELIVERED),
    Transition(_S.DRAFTED, _E.DELIVERY_GAVE_UP, _S.UNDELIVERED),
    Transition(_S.UNDELIVERED, _E.RELEASED, _S.DRAFTED),
    # Storage commitment was asked for and refused: the draft is sent again.
    Transition(_S.DELIVERED, _E.NOT_COMMITTED, _S.DRAFTED),
    # A new image after completion begins a new revision; the earlier one keeps what it delivered.
    Transition(_S.QUEUED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.DRAFTING, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.DRAFTED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.DELIVERED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.SKIPPED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.FAILED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.UNDELIVERED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    # Whatever became of it so far, a study can be withdrawn: those who have its draft get a note.
    *(
        Transition(source, _E.WITHDRAWN, _S.WITHDRAWING)
        for source in _S
        if source not in {_S.WITHDRAWING, _S.WITHDRAWN}
    ),
    Transition(_S.WITHDRAWING, _E.ALL_NOTIFIED, _S.WITHDRAWN),
    Transition(_S.WITHDRAWING, _E.NOTE_GAVE_UP, _S.WITHDRAWING),
    Transition(_S.WITHDRAWING, _E.RELEASED, _S.WITHDRAWING),
    Transition(_S.WITHDRAWN, _E.NOT_COMMITTED, _S.WITHDRAWING),
    # A late image is kept, and changes nothing: only an operator has a withdrawn study drafted anew.
    Transition(_S.WITHDRAWING, _E.INSTANCE_ARRIVED, _S.WITHDRAWING),
    Transition(_S.WITHDRAWN, _E.INSTANCE_ARRIVED, _S.WITHDRAWN),
    Transition(_S.WITHDRAWING, _E.REDRAFT, _S.QUEUED),
    Transition(_S.WITHDRAWN, _E.REDRAFT, _S.QUEUED),
)

_NEXT = {(t.source, t.event): t.target for t in TRANSITIONS}


class IllegalTransition(Exception):
    """A state was asked to follow another that it cannot follow: a defect in the node."""


def next_state(state: StudyState, event: StudyEvent) -> StudyState:
    """Return the state that follows *state* on *event*.

    Raises:
        IllegalTransition: the table has no such row.
    """
    try:
        return _NEXT[state, event]
    except KeyError:
        raise IllegalTransition(f"no transition from {state} on '{event}'") from None
