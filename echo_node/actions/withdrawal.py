"""Withdrawal of a study's drafts, its progress at each destination, and a new draft afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from echo_node.actions.operator import OPERATOR_LENGTH
from echo_node.domain.work.job import DeliveryState
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import WithdrawalReason, WithdrawalState

if TYPE_CHECKING:
    from echo_node.storage.open import Storage
    from echo_node.storage.operations.queries import Record

_OPEN_DELIVERIES = {DeliveryState.PENDING, DeliveryState.SENDING}
_OPEN_WITHDRAWALS = {WithdrawalState.PENDING, WithdrawalState.PREPARING}


class DraftAtDestination(StrEnum):
    """Whether a destination has a draft that was withdrawn."""

    DELIVERED = "has it"
    PERHAPS = "may have it"
    SENDING = "is being sent it"
    NEVER = "never got it"


@dataclass(frozen=True, slots=True)
class DestinationProgress:
    """Progress of a withdrawal for one draft at one destination.

    Attributes:
        destination: configured name of the destination.
        kind: form of the draft.
        revision: revision of the study that the draft belongs to.
        draft: whether the destination has the draft.
        note: state of the delivery of the note; None if the destination needs none.
    """

    destination: str
    kind: str
    revision: int
    draft: DraftAtDestination
    note: DeliveryState | None


@dataclass(frozen=True, slots=True)
class WithdrawalProgress:
    """Progress of the latest withdrawal of a study.

    Attributes:
        study_id: study whose drafts are withdrawn.
        study_state: state of the study.
        study_reason: reason for that state, if there is one.
        withdrawal_id: surrogate id of the withdrawal.
        state: state of the notes: whether they are made.
        failure: reason why the notes could not be made, if they could not.
        rejection: reason for the withdrawal.
        explanation: explanation by the node, if the node itself withdrew the drafts.
        asked_by: operator who withdrew the drafts; empty or None for the node itself.
        asked_at: time of the request (ISO 8601, UTC).
        destinations: progress for each withdrawn draft at each destination.
        has_refused_note: whether a destination refused a note permanently.
        is_under_way: whether the node can still make progress without an operator.
    """

    study_id: int
    study_state: StudyState
    study_reason: str | None
    withdrawal_id: int
    state: WithdrawalState
    failure: str | None
    rejection: WithdrawalReason
    explanation: str
    asked_by: str | None
    asked_at: str
    destinations: tuple[DestinationProgress, ...]
    has_refused_note: bool
    is_under_way: bool


def withdraw(storage: Storage, study_id: int, reason: WithdrawalReason, asked_by: str) -> bool:
    """Withdraw a study's drafts from every destination, and make no new draft until `redraft`.

    Args:
        storage: the node's storage.
        study_id: study whose drafts are withdrawn.
        reason: reason stated in the notes.
        asked_by: operator, as the record shows it; at most 128 characters are kept.

    Returns:
        Whether the drafts were withdrawn now; false if they already were.

    Raises:
        PermanentError: there is no such study.
    """
    return storage.withdrawals.withdraw(study_id, reason, asked_by[:OPERATOR_LENGTH])


def redraft(storage: Storage, study_id: int) -> int:
    """Draft a withdrawn study again from its present images. Return the new revision.

    Raises:
        PermanentError: there is no such study, or it is not withdrawn.
    """
    return storage.withdrawals.redraft(study_id)


def withdrawal_progress(storage: Storage, study_id: int) -> WithdrawalProgress:
    """Return the progress of the latest withdrawal of a study that was withdrawn.

    Raises:
        PermanentError: there is no such study.
    """
    record = storage.queries.show(study_id)
    withdrawal = record["withdrawals"][-1]
    study_state, state = StudyState(record["state"]), WithdrawalState(withdrawal["state"])
    notes = {DeliveryState(row["state"]) for row in _notes(record)}
    return WithdrawalProgress(
        study_id=study_id,
        study_state=study_state,
        study_reason=record["reason"],
        withdrawal_id=withdrawal["withdrawal_id"],
        state=state,
        failure=withdrawal["reason"],
        rejection=WithdrawalReason(withdrawal["rejection"]),
        explanation=withdrawal["explanation"],
        asked_by=withdrawal["asked_by"],
        asked_at=withdrawal["asked_at"],
        destinations=tuple(_destinations(record, state)),
        has_refused_note=DeliveryState.DEAD in notes,
        is_under_way=study_state is StudyState.WITHDRAWING
        and (state in _OPEN_WITHDRAWALS or bool(notes & _OPEN_DELIVERIES)),
    )


def _destinations(record: Record, state: WithdrawalState) -> Iterator[DestinationProgress]:
    documents = {row["document_id"]: row for row in record["documents"]}
    note_of = {
        (uid, note["destination"]): DeliveryState(note["state"])
        for note in _notes(record)
        for uid in documents[note["document_id"]]["input_sop_instance_uids"]
    }
    for delivery in record["deliveries"]:
        document = documents[delivery["document_id"]]
        if not document["is_withdrawn"]:
            continue
        draft = _draft_at_destination(delivery)
        is_pending = draft is not DraftAtDestination.NEVER and state is not WithdrawalState.PREPARED
        yield DestinationProgress(
            destination=delivery["destination"],
            kind=document["kind"],
            revision=document["revision"],
            draft=draft,
            note=note_of.get(
                (document["sop_instance_uid"], delivery["destination"]),
                DeliveryState.PENDING if is_pending else None,
            ),
        )


def _draft_at_destination(delivery: Record) -> DraftAtDestination:
    if delivery["state"] == DeliveryState.SENDING:
        return DraftAtDestination.SENDING
    if delivery["state"] != DeliveryState.STOPPED:
        return DraftAtDestination.DELIVERED
    return DraftAtDestination.PERHAPS if delivery["attempt"] else DraftAtDestination.NEVER


def _notes(record: Record) -> list[Record]:
    """Return the deliveries of notes in a study's record."""
    notes = {row["document_id"] for row in record["documents"] if row["is_note"]}
    return [row for row in record["deliveries"] if row["document_id"] in notes]
