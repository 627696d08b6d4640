"""The queue of deliveries. A study is delivered when every destination has its current document."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import Clock, DeliveryOutcome
from echo_node.domain.work.job import DeliveryJob, DeliveryState, Lease, RetryPolicy
from echo_node.domain.work.lifecycle import StudyEvent, StudyState
from echo_node.domain.work.pausable import Pausable
from echo_node.errors import PermanentError
from echo_node.storage.database.claims import Claims, lease_of
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import DELIVERIES, WITHDRAWALS, notify
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
from echo_node.storage.queues.pauses import is_paused

log = structlog.get_logger()

_STATE_OF = {
    DeliveryOutcome.SUCCESS: DeliveryState.DELIVERED,
    DeliveryOutcome.WARNING: DeliveryState.DELIVERED_WITH_WARNING,
}


class DeliveryQueue:
    """Deliveries to one destination, or to all (domain.ports.WorkQueue and DeliveryLedger).

    Args:
        database: where rows are kept.
        outbox: where documents are kept.
        clock: the time.
        policy: when a delivery whose worker was lost is given up.
        lease_s: how long a claim lasts unless it is renewed.
        destination: claim only what goes there, so that a dead peer does not hold up the others.
        committing: destinations that are then asked to commit to what they were sent.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        policy: RetryPolicy,
        lease_s: float,
        destination: str | None = None,
        committing: Collection[str] = (),
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._policy = policy
        self._destination = destination
        self._committing = frozenset(committing)
        self.claims = Claims(Delivery, DeliveryState.PENDING, DeliveryState.SENDING, lease_s)

    def claim(self, holder: str) -> DeliveryJob | None:
        """Take the delivery that has waited longest."""
        now = self._clock.now()
        due = self.claims.due(now).where(~is_paused(Pausable.DELIVERY))
        if self._destination is not None:
            due = due.where(Delivery.destination == self._destination)
        with self._database.read() as session:
            if session.scalar(due) is None:
                return None
        with self._database.write() as session:
            row = self.claims.claim(session, due.with_for_update(skip_locked=True), now, holder)
            if row is None:
                return None
            document = session.get_one(Document, row.document_id)
            return DeliveryJob(lease_of(row), document.study_id, row.destination, document.id)

    def document(self, job: DeliveryJob) -> EncodedDocument:
        """Return what is to be sent, byte for byte as it was stored."""
        with self._database.read() as session:
            row = session.get_one(Document, job.document_id)
            study = session.get_one(Study, row.study_id)
            session.expunge_all()
        content = self._outbox.read(row.path, row.sha256)
        return encoded_document(row, study.study_instance_uid, content)

    def renew(self, work: DeliveryJob) -> None:
        """Extend the lease."""
        with self._database.write() as session:
            self.claims.renew(session, work.lease, self._clock.now())

    def finish(self, job: DeliveryJob, outcome: DeliveryOutcome, status: int) -> None:
        """Record that the destination has the document."""
        with self._ending(job.study_id) as (session, study, now):
            self.claims.end(session, job.lease, now, state=_STATE_OF[outcome], status=status)
            settle(session, study, now)
            if is_withdrawn(session, job.document_id):
                notify(session, WITHDRAWALS)
            elif job.destination in self._committing:
                ask_for_commitment(session, job.lease.row_id, now)

    def retry(self, work: DeliveryJob, reason: str, at: datetime) -> None:
        """Put the delivery back to be claimed again at *at*."""
        with self._ending(work.study_id) as (session, _study, now):
            state = _or_stopped(session, work.document_id, DeliveryState.PENDING)
            self.claims.end(session, work.lease, now, state=state, available_at=at, reason=reason)

    def release_claim(self, work: DeliveryJob) -> None:
        """Return a delivery that was not made, as if it had not been tried."""
        with self._ending(work.study_id) as (session, _study, now):
            state = _or_stopped(session, work.document_id, DeliveryState.PENDING)
            self.claims.put_back(session, work.lease, now, state=state)

    def dead_letter(self, work: DeliveryJob, reason: str) -> None:
        """Make the delivery a dead letter."""
        with self._ending(work.study_id) as (session, study, now):
            self._dead_letter(session, study, work.document_id, work.lease, now, reason)

    def skip(self, work: DeliveryJob, reason: str) -> None:
        """End the delivery; there is no delivery that is not needed, so that is a dead letter too."""
        self.dead_letter(work, reason)

    def reclaim_from(self, holders: str) -> None:
        """Free at once what holders whose name begins so had claimed: the caller knows that they are dead."""
        with self._database.write() as session:
            self.claims.expire(session, holders, self._clock.now())
        self.rescue()

    def rescue(self) -> int:
        """Free the deliveries of workers that have not been heard of; return how many."""
        now = self._clock.now()
        with self._database.read() as session:
            expired = session.execute(
                self.claims.expired(now)
                .join(Document, Document.id == Delivery.document_id)
                .with_only_columns(Delivery.id, Document.study_id)
            ).all()
        return sum(self._rescue(delivery_id, study_id) for delivery_id, study_id in expired)

    def release(self, delivery_id: int) -> None:
        """Let a dead letter be tried again from the beginning.

        Raises:
            PermanentError: it is not a dead letter.
        """
        with self._database.read() as session:
            study_id = session.scalar(
                select(Document.study_id)
                .join(Delivery, Delivery.document_id == Document.id)
                .where(Delivery.id == delivery_id)
            )
        if study_id is None:
            raise PermanentError(f"there is no delivery {delivery_id}")
        with self._ending(study_id) as (session, study, now):
            released = self.claims.release(session, delivery_id, DeliveryState.DEAD, now)
            if released is None:
                raise PermanentError(
                    f"delivery {delivery_id} is not a dead letter: there is nothing to retry"
                )
            notify(session, DELIVERIES)
            if study.state is StudyState.UNDELIVERED and is_current(session, released.document_id, study_id):
                move(study, StudyEvent.RELEASED, now)
            elif study.state is StudyState.WITHDRAWING:
                reopen_withdrawal(session, study, StudyEvent.RELEASED, now)
        log.info("delivery_released", delivery_id=delivery_id, study_id=study_id)

    def create_missing(self, destinations: Mapping[str, Collection[str]]) -> int:
        """Create the deliveries that drafts still waiting lack; return how many.

        Drafts wait when they were made while no destination, or another one, was configured; they keep the
        kinds that they were made in. Studies that are delivered already are left alone: a new PACS does not
        get the whole past.

        Args:
            destinations: which kinds of document each gets.
        """
        if not destinations:
            return 0
        with self._database.read() as session:
            waiting = session.scalars(select(Study.id).where(Study.state == StudyState.DRAFTED)).all()
        created = 0
        for study_id in waiting:
            with self._ending(study_id) as (session, study, now):
                if study.state is not StudyState.DRAFTED:
                    continue
                for document in current_documents(session, study_id):
                    created += add_deliveries(session, document, destinations, now)
        if created:
            log.info("deliveries_created", count=created)
        return created

    def _rescue(self, delivery_id: int, study_id: int) -> bool:
        with self._ending(study_id) as (session, study, now):
            query = self.claims.expired(now).where(Delivery.id == delivery_id)
            row = session.scalars(query).one_or_none()
            if row is None:
                return False
            lease = lease_of(row)
            reason = f"its worker was lost while sending ({lease.tries} tries)"
            if self._policy.is_exhausted(lease.tries):
                self._dead_letter(session, study, row.document_id, lease, now, reason)
            else:
                state = _or_stopped(session, row.document_id, DeliveryState.PENDING)
                self.claims.end(session, lease, now, state=state, available_at=now, reason=reason)
        log.warning("delivery_rescued", delivery_id=delivery_id, study_id=study_id)
        return True

    def _dead_letter(
        self, session: Session, study: Study, document_id: int, lease: Lease, now: datetime, reason: str
    ) -> None:
        state = _or_stopped(session, document_id, DeliveryState.DEAD)
        self.claims.end(session, lease, now, state=state, reason=reason)
        settle(session, study, now)

    @contextmanager
    def _ending(self, study_id: int) -> Iterator[tuple[Session, Study, datetime]]:
        """Open a transaction that changes a delivery, its study locked first."""
        with self._database.write() as session:
            yield session, lock_study(session, study_id), self._clock.now()


def _or_stopped(session: Session, document_id: int, state: DeliveryState) -> DeliveryState:
    """Return the state of a delivery that was not made; that of a withdrawn draft is stopped."""
    if not is_withdrawn(session, document_id):
        return state
    notify(session, WITHDRAWALS)
    return DeliveryState.STOPPED
