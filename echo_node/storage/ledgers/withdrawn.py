"""Withdrawn drafts: rules for drafts, deliveries and commitments, and the step that withdraws.

A withdrawal covers every draft of its study up to its own revision. A new draft begins another
revision, so the revision alone distinguishes it from a withdrawn draft.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, Select, delete, func, select, update
from sqlalchemy.orm import Session

from echo_node.domain.work.commitment import CommitmentState
from echo_node.domain.work.job import DeliveryState
from echo_node.domain.work.kinds import MAKING_NOTES
from echo_node.domain.work.lifecycle import StudyEvent, StudyState
from echo_node.domain.work.withdrawal import NoteKind, WithdrawalReason, WithdrawalState
from echo_node.storage.database.drafting_order import supersede_jobs
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.rows import move
from echo_node.storage.database.tables import Commitment, Delivery, Document, Study, Withdrawal

WITHDRAWN = (StudyState.WITHDRAWING, StudyState.WITHDRAWN)

NOTES = tuple(kind.value for kind in NoteKind)

is_note: ColumnElement[bool] = Document.kind.in_(NOTES)
"""Condition that a document is a note about withdrawn drafts, and not a draft."""


def withdrawn_up_to(study_id: object, below: int | None = None) -> ScalarSelect[int]:
    """Return the query for the latest withdrawn revision below *below*, or 0."""
    query = select(func.coalesce(func.max(Withdrawal.revision), 0)).where(Withdrawal.study_id == study_id)
    return (query if below is None else query.where(Withdrawal.revision < below)).scalar_subquery()


def standing_drafts(study_id: object) -> Select[Document]:
    """Return the query for a study's drafts that were not withdrawn."""
    return select(Document).where(
        Document.study_id == study_id, ~is_note, Document.revision > withdrawn_up_to(study_id)
    )


def is_withdrawn(session: Session, document_id: int) -> bool:
    """Return whether a document is a draft that was withdrawn."""
    query = select(Document.id).where(
        Document.id == document_id, ~is_note, Document.revision <= withdrawn_up_to(Document.study_id)
    )
    return session.scalar(query) is not None


def withdraw(
    session: Session,
    study: Study,
    now: datetime,
    rejection: WithdrawalReason,
    explanation: str,
    asked_by: str = "",
) -> bool:
    """Withdraw the drafts of a locked study, and stop their deliveries.

    Deliveries in progress end first. Every destination that has a draft, or may have one, gets a
    note about it.

    Returns:
        Whether the drafts were withdrawn now; false if they already were.
    """
    if study.state in WITHDRAWN:
        return False
    drafts = session.scalars(standing_drafts(study.id).with_only_columns(Document.id)).all()
    supersede_jobs(session, study.id, now)
    session.execute(
        update(Delivery)
        .where(
            Delivery.document_id.in_(drafts), Delivery.state.in_((DeliveryState.PENDING, DeliveryState.DEAD))
        )
        .values(state=DeliveryState.STOPPED, reason="the draft was withdrawn", changed_at=now)
        .execution_options(synchronize_session=False)
    )
    _delete_open_questions(session, drafts)
    # This includes the claims of this moment: a draft that was ever tried may have arrived.
    was_tried = select(Delivery.id).where(Delivery.document_id.in_(drafts), Delivery.attempt > 0).limit(1)
    is_known_of = session.scalar(was_tried) is not None
    withdrawal = Withdrawal(
        study_id=study.id,
        revision=study.revision,
        state=WithdrawalState.PENDING if is_known_of else WithdrawalState.PREPARED,
        rejection=rejection,
        explanation=explanation,
        asked_by=asked_by,
        available_at=now,
        created_at=now,
        changed_at=now,
    )
    session.add(withdrawal)
    move(study, StudyEvent.WITHDRAWN, now, reason_of(withdrawal))
    if not is_known_of:
        settle_withdrawal(session, study, now)
    notify(session, MAKING_NOTES.topic)
    return True


def settle_withdrawal(session: Session, study: Study, now: datetime) -> None:
    """Move a locked study that is being withdrawn, if each note was delivered or is dead."""
    withdrawals = _withdrawals(session, study.id)
    if any(each.state is not WithdrawalState.PREPARED for each in withdrawals):
        return
    notes = select(Document.id).where(Document.study_id == study.id, is_note)
    states = set(session.scalars(select(Delivery.state).where(Delivery.document_id.in_(notes)).distinct()))
    if states & {DeliveryState.PENDING, DeliveryState.SENDING}:
        return
    if DeliveryState.DEAD in states:
        reason = f"a destination refused the note; {reason_of(withdrawals[-1])}"
        move(study, StudyEvent.NOTE_GAVE_UP, now, reason)
    else:
        move(study, StudyEvent.ALL_NOTIFIED, now, reason_of(withdrawals[-1]))


def reopen_withdrawal(session: Session, study: Study, event: StudyEvent, now: datetime) -> None:
    """Move a locked, withdrawn study back, because a note must be delivered again."""
    move(study, event, now, reason_of(_withdrawals(session, study.id)[-1]))


def reason_of(withdrawal: Withdrawal) -> str:
    """Return the reason of a withdrawn study: reason, operator and explanation."""
    by = f" by {withdrawal.asked_by}" if withdrawal.asked_by else ""
    explanation = f": {withdrawal.explanation}" if withdrawal.explanation else ""
    return f"withdrawn ({withdrawal.rejection}){by}{explanation}"


def _withdrawals(session: Session, study_id: int) -> Sequence[Withdrawal]:
    query = select(Withdrawal).where(Withdrawal.study_id == study_id).order_by(Withdrawal.revision)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _delete_open_questions(session: Session, documents: Sequence[int]) -> None:
    """Delete the open questions about documents: no destination needs to keep them."""
    deliveries = select(Delivery.id).where(Delivery.document_id.in_(documents))
    session.execute(
        delete(Commitment)
        .where(Commitment.delivery_id.in_(deliveries), Commitment.state != CommitmentState.COMMITTED)
        .execution_options(synchronize_session=False)
    )
