"""Queue of deliveries. A study is delivered when every destination has its current documents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import structlog
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.job import DeliveryJob, DeliveryState
from echo_node.domain.work.kinds import DELIVERY, MAKING_NOTES, SENDING
from echo_node.domain.work.lifecycle import StudyEvent, StudyState
from echo_node.storage.database.claims import lease_of
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.rows import lock_study, move
from echo_node.storage.database.tables import Delivery, Document, Study
from echo_node.storage.ledgers.documents import (
    add_deliveries,
    current_documents,
    encoded_document,
    is_current,
    settle,
)
from echo_node.storage.ledgers.withdrawn import is_withdrawn, reopen_withdrawal
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.queues.commitments import ask_for_commitment
from echo_node.storage.queues.work_queue import Columns, QueueContext, SqlWorkQueue

log = structlog.get_logger()

_STATE_OF = {
    DeliveryOutcome.SUCCESS: DeliveryState.DELIVERED,
    DeliveryOutcome.WARNING: DeliveryState.DELIVERED_WITH_WARNING,
}


class DeliveryQueue(SqlWorkQueue[Delivery, DeliveryJob]):
    """Deliveries to one destination, or to all. Implements the DeliveryLedger port too.

    Args:
        context: surroundings of the queue.
        outbox: store of the documents.
        destination: the only destination whose deliveries are claimed, so that a dead peer does not
            hold up the others; None for all.
        committing: destinations that must commit to the documents that they receive.
    """

    table, kind, step = Delivery, DELIVERY, SENDING

    def __init__(
        self,
        context: QueueContext,
        outbox: Outbox,
        destination: str | None = None,
        committing: Collection[str] = (),
    ) -> None:
        super().__init__(context)
        self._outbox = outbox
        self._destination = destination
        self._committing = frozenset(committing)

    def document(self, job: DeliveryJob) -> EncodedDocument:
        """Return the document to send, byte for byte as it was stored."""
        with self._database.read() as session:
            row = session.get_one(Document, job.document_id)
            study = session.get_one(Study, row.study_id)
            session.expunge_all()
        content = self._outbox.read(row.path, row.sha256)
        return encoded_document(row, study.study_instance_uid, content)

    def finish(self, job: DeliveryJob, outcome: DeliveryOutcome, status: int) -> None:
        """Record that the destination has the document."""
        with self._database.write() as session:
            study, now = lock_study(session, job.study_id), self._clock.now()
            self.claims.end(session, job.lease, now, state=_STATE_OF[outcome], status=status)
            settle(session, study, now)
            if is_withdrawn(session, job.document_id):
                notify(session, MAKING_NOTES.topic)
            elif job.destination in self._committing:
                ask_for_commitment(session, job.lease.row_id, now)

    def create_missing(self, destinations: Mapping[str, Collection[str]]) -> int:
        """Create the missing deliveries of drafts that wait; return the number created.

        A draft waits if it was made while no destination, or another one, was configured. It keeps
        the kinds of document that it was made in. A new destination does not receive studies that
        are delivered already.

        Args:
            destinations: kinds of document that each destination receives.
        """
        if not destinations:
            return 0
        with self._database.read() as session:
            waiting = session.scalars(select(Study.id).where(Study.state == StudyState.DRAFTED)).all()
        created = 0
        for study_id in waiting:
            with self._database.write() as session:
                study, now = lock_study(session, study_id), self._clock.now()
                if study.state is not StudyState.DRAFTED:
                    continue
                for document in current_documents(session, study_id):
                    created += add_deliveries(session, document, destinations, now)
        if created:
            log.info("deliveries_created", count=created)
        return created

    def _due(self, now: datetime) -> Select[int]:
        due = super()._due(now)
        return due if self._destination is None else due.where(Delivery.destination == self._destination)

    def _claimed(self, session: Session, row: Delivery, now: datetime) -> DeliveryJob:
        document = session.get_one(Document, row.document_id)
        return DeliveryJob(lease_of(row), document.study_id, row.destination, document.id)

    def _lock_study(self, session: Session, row_id: int) -> Study:
        its_study = (
            select(Study)
            .join(Document, Document.study_id == Study.id)
            .join(Delivery, Delivery.document_id == Document.id)
            .where(Delivery.id == row_id)
        )
        return session.scalars(its_study.with_for_update(of=Study)).one()

    def _move_study(
        self,
        session: Session,
        row_id: int,
        study: Study,
        event: StudyEvent,
        now: datetime,
        reason: str | None,
    ) -> None:
        if event is StudyEvent.GAVE_UP:
            settle(session, study, now)
        elif event is StudyEvent.RELEASED:
            document_id = session.get_one(Delivery, row_id).document_id
            if study.state is StudyState.UNDELIVERED and is_current(session, document_id, study.id):
                move(study, StudyEvent.RELEASED, now)
            elif study.state is StudyState.WITHDRAWING:
                reopen_withdrawal(session, study, StudyEvent.RELEASED, now)

    def _columns_after(self, session: Session, row_id: int, event: StudyEvent, now: datetime) -> Columns:
        """Stop the delivery if its draft was withdrawn: the destination does not have it."""
        if event is not StudyEvent.RELEASED and is_withdrawn(
            session, session.get_one(Delivery, row_id).document_id
        ):
            notify(session, MAKING_NOTES.topic)
            return {"state": DeliveryState.STOPPED}
        return super()._columns_after(session, row_id, event, now)
