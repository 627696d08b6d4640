"""Commitments: our questions to destinations about delivered documents (PS3.4 Annex J).

    pending → asking → asked → committed

A document that its destination does not commit to is sent again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog
from sqlalchemy import Select, SQLColumnExpression, delete, select
from sqlalchemy.orm import Session

from echo_node.domain.work.commitment import COMMITTED, CommitmentReport, CommitmentState, ReferencedInstance
from echo_node.domain.work.job import DeliveryState
from echo_node.domain.work.kinds import ASKING, COMMITMENT
from echo_node.domain.work.lifecycle import StudyEvent, StudyState
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.rows import insert_if_absent, lock_study, move
from echo_node.storage.database.tables import Commitment, Delivery, Document
from echo_node.storage.ledgers.documents import is_current, settle
from echo_node.storage.ledgers.withdrawn import WITHDRAWN, is_withdrawn, reopen_withdrawal
from echo_node.storage.queues.commitment_questions import Peers, QuestionQueue
from echo_node.storage.queues.work_queue import QueueContext

log = structlog.get_logger()


class CommitmentQueue(QuestionQueue[Commitment]):
    """Questions to one destination, or to all.

    Args:
        context: surroundings of the queue.
        peers: destinations that are asked.
        destination: the only destination whose questions are claimed; None for all.
    """

    table, kind, step, states = Commitment, COMMITMENT, ASKING, CommitmentState

    def __init__(self, context: QueueContext, peers: Peers, destination: str | None = None) -> None:
        super().__init__(context, peers)
        self._destination = destination

    def report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record a peer's answer; return whether this peer had an open question."""
        with self._report_on(report, self._peers.named(calling_ae_title)) as found:
            if found is None:
                return False
            session, commitment, delivery, document = found
            status = report.status_of(_instance(document))
            if status == COMMITTED:
                self._commit(commitment)
                log.info("committed", delivery_id=delivery.id, study_id=document.study_id)
            elif status is not None:
                self._send_again(session, delivery, document, status)
            return True

    def _due(self, now: datetime) -> Select[int]:
        due = super()._due(now)
        if self._destination is not None:
            due = due.join(Delivery, Delivery.id == Commitment.delivery_id)
            due = due.where(Delivery.destination == self._destination)
        return due

    def _question(self, session: Session, row: Commitment) -> tuple[str, tuple[ReferencedInstance, ...]]:
        delivery = session.get_one(Delivery, row.delivery_id)
        return delivery.destination, (_instance(session.get_one(Document, delivery.document_id)),)

    def _commit(self, commitment: Commitment) -> None:
        commitment.state = CommitmentState.COMMITTED
        commitment.holder = commitment.lease_expires_at = commitment.reason = None
        commitment.changed_at = self._clock.now()

    def _send_again(self, session: Session, delivery: Delivery, document: Document, failure: int) -> None:
        """Send a document without commitment again, or make its delivery a dead letter."""
        now, reason = self._clock.now(), f"the destination did not commit to it (0x{failure:04X})"
        session.execute(delete(Commitment).where(Commitment.delivery_id == delivery.id))
        is_dead = self._policy.is_exhausted(delivery.tries)
        delivery.state = DeliveryState.DEAD if is_dead else DeliveryState.PENDING
        delivery.available_at = now + self._policy.delay(max(1, delivery.tries), self._randomness)
        delivery.reason, delivery.changed_at = reason, now
        study = lock_study(session, document.study_id)
        if is_withdrawn(session, document.id):
            delivery.state = DeliveryState.STOPPED
        elif study.state in WITHDRAWN:
            if study.state is StudyState.WITHDRAWN:
                reopen_withdrawal(session, study, StudyEvent.NOT_COMMITTED, now)
            settle(session, study, now)
        elif study.state is StudyState.DELIVERED and is_current(session, document.id, study.id):
            move(study, StudyEvent.NOT_COMMITTED, now, reason)
            if is_dead:
                move(study, StudyEvent.DELIVERY_GAVE_UP, now, reason)
        log.warning(
            "not_committed", delivery_id=delivery.id, study_id=study.id, status=f"0x{failure:04X}",
            state=delivery.state.value,
        )  # fmt: skip

    @contextmanager
    def _report_on(
        self, report: CommitmentReport, destinations: list[str]
    ) -> Iterator[tuple[Session, Commitment, Delivery, Document] | None]:
        """Open the transaction that ends a question to one of these destinations, study locked."""
        query = (
            select(Commitment, Delivery, Document)
            .join(Delivery, Delivery.id == Commitment.delivery_id)
            .join(Document, Document.id == Delivery.document_id)
            .where(
                self._is_asked(report.transaction_uid),
                Delivery.destination.in_(destinations),
            )
        )
        with self._database.write() as session:
            study_id = session.scalar(query.with_only_columns(Document.study_id))
            if study_id is None:
                yield None
                return
            lock_study(session, study_id)
            row = session.execute(query.with_for_update(of=(Commitment, Delivery))).one_or_none()
            yield None if row is None else (session, row[0], row[1], row[2])


def ask_for_commitment(session: Session, delivery_id: int, now: datetime) -> None:
    """Create the question about a delivery that has just succeeded, unless there is one."""
    notify(session, ASKING.topic)
    insert_if_absent(
        session,
        Commitment,
        delivery_id=delivery_id,
        state=CommitmentState.PENDING,
        transaction_uid=None,
        attempt=0,
        tries=0,
        available_at=now,
        created_at=now,
        changed_at=now,
    )


def open_commitments_of(study_id: int | SQLColumnExpression[int]) -> Select[int]:
    """Return the query for the commitments of a study that its destinations have not made yet."""
    return (
        select(Commitment.id)
        .join(Delivery, Delivery.id == Commitment.delivery_id)
        .join(Document, Document.id == Delivery.document_id)
        .where(Document.study_id == study_id, Commitment.state != CommitmentState.COMMITTED)
    )


def _instance(document: Document) -> ReferencedInstance:
    return ReferencedInstance(document.sop_class_uid, document.sop_instance_uid)
