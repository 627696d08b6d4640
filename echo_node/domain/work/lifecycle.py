"""Lifecycle of a study: its states, and the one table of all transitions.

The page docs/reference/lifecycle.md is generated from TRANSITIONS. Storage rejects every change of
state that is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StudyState(StrEnum):
    """State of a study on its way through the node."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    DRAFTING = "drafting"
    DRAFTED = "drafted"
    DELIVERED = "delivered"
    SKIPPED = "skipped"
    HELD = "held"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    WITHDRAWING = "withdrawing"
    WITHDRAWN = "withdrawn"


class StudyEvent(StrEnum):
    """Event in the life of a study."""

    INSTANCE_ARRIVED = "instance arrived"
    COMPLETED = "idle or time limit reached"
    CLAIMED = "worker claims the job"
    DRAFT_STORED = "draft encoded and stored"
    UNCHANGED = "same images as the earlier draft"
    NOT_ELIGIBLE = "not eligible"
    CONTRADICTED = "its patient or order is contradicted, or cannot be stated"
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
    RESOLVED = "the contradiction is resolved"


@dataclass(frozen=True, slots=True)
class Transition:
    """Transition from one state to another on an event."""

    source: StudyState
    event: StudyEvent
    target: StudyState


_S, _E = StudyState, StudyEvent

TRANSITIONS: tuple[Transition, ...] = (
    Transition(_S.RECEIVING, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.RECEIVING, _E.COMPLETED, _S.QUEUED),
    Transition(_S.QUEUED, _E.CLAIMED, _S.DRAFTING),
    Transition(_S.DRAFTING, _E.DRAFT_STORED, _S.DRAFTED),
    # The earlier revision's draft remains valid: no second draft of the same images.
    Transition(_S.DRAFTING, _E.UNCHANGED, _S.DRAFTED),
    Transition(_S.DRAFTING, _E.NOT_ELIGIBLE, _S.SKIPPED),
    # No draft is standing. A study with a standing draft is withdrawn instead.
    Transition(_S.DRAFTING, _E.CONTRADICTED, _S.HELD),
    Transition(_S.HELD, _E.RESOLVED, _S.QUEUED),
    Transition(_S.DRAFTING, _E.RETRY, _S.QUEUED),
    Transition(_S.DRAFTING, _E.GAVE_UP, _S.FAILED),
    Transition(_S.FAILED, _E.RELEASED, _S.QUEUED),
    Transition(_S.DRAFTED, _E.ALL_DELIVERED, _S.DELIVERED),
    Transition(_S.DRAFTED, _E.DELIVERY_GAVE_UP, _S.UNDELIVERED),
    Transition(_S.UNDELIVERED, _E.RELEASED, _S.DRAFTED),
    # A storage commitment request failed: the draft is sent again.
    Transition(_S.DELIVERED, _E.NOT_COMMITTED, _S.DRAFTED),
    # A new image after completion starts a new revision, and so does other content under the SOP
    # Instance UID of an image; the earlier deliveries remain.
    Transition(_S.QUEUED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.DRAFTING, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.DRAFTED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.DELIVERED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.SKIPPED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.HELD, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.FAILED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    Transition(_S.UNDELIVERED, _E.INSTANCE_ARRIVED, _S.RECEIVING),
    # A study can be withdrawn from every other state. Every destination that has its draft gets a
    # note.
    *(
        Transition(source, _E.WITHDRAWN, _S.WITHDRAWING)
        for source in _S
        if source not in {_S.WITHDRAWING, _S.WITHDRAWN}
    ),
    Transition(_S.WITHDRAWING, _E.ALL_NOTIFIED, _S.WITHDRAWN),
    Transition(_S.WITHDRAWING, _E.NOTE_GAVE_UP, _S.WITHDRAWING),
    Transition(_S.WITHDRAWING, _E.RELEASED, _S.WITHDRAWING),
    Transition(_S.WITHDRAWN, _E.NOT_COMMITTED, _S.WITHDRAWING),
    # A late image is stored and changes nothing: only an operator starts a new draft.
    Transition(_S.WITHDRAWING, _E.INSTANCE_ARRIVED, _S.WITHDRAWING),
    Transition(_S.WITHDRAWN, _E.INSTANCE_ARRIVED, _S.WITHDRAWN),
    Transition(_S.WITHDRAWING, _E.REDRAFT, _S.QUEUED),
    Transition(_S.WITHDRAWN, _E.REDRAFT, _S.QUEUED),
    Transition(_S.WITHDRAWING, _E.RESOLVED, _S.QUEUED),
    Transition(_S.WITHDRAWN, _E.RESOLVED, _S.QUEUED),
)

_NEXT = {(t.source, t.event): t.target for t in TRANSITIONS}


class IllegalTransition(Exception):
    """A change of state that the table does not contain: a defect in the node."""


def next_state(state: StudyState, event: StudyEvent) -> StudyState:
    """Return the state that follows *state* on *event*.

    Raises:
        IllegalTransition: the table has no such row.
    """
    try:
        return _NEXT[state, event]
    except KeyError:
        raise IllegalTransition(f"no transition from {state} on '{event}'") from None
