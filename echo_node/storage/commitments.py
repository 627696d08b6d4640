"""Storage commitment: the question whether a destination answers for what it was sent (PS3.4 Annex J).

    pending → asking (a worker has it) → asked (the destination took the request) → committed

An answer may come on the same association, before the worker has recorded that it asked, or an hour later
on another one: it is recorded by whoever receives it. A destination that does not answer in time is asked
again under a new Transaction UID; one that does not answer for a document is sent it again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from echo_node.domain.job import (
    CommitmentJob,
    CommitmentReport,
    CommitmentState,
    DeliveryState,
    Lease,
    RetryPolicy,
)
from echo_node.domain.lifecycle import StudyEvent, StudyState
from echo_node.domain.pausable import Pausable
from echo_node.domain.ports import Clock
from echo_node.errors import LeaseLost, PermanentError
from echo_node.storage.bell import COMMITMENTS, ring
from echo_node.storage.claims import Claims, lease_of
from echo_node.storage.documents import is_current
from echo_node.storage.engine import Database
from echo_node.storage.pauses import is_paused
from echo_node.storage.studies import insert_if_absent, lock_study, move
from echo_node.storage.tables import Commitment, Delivery, Document

log = structlog.get_logger()

_OPEN = (CommitmentState.ASKING, CommitmentState.ASKED)


class CommitmentQueue:
    """Requests to one destination, or to all (domain.ports.WorkQueue and CommitmentLedger).

    Args:
        database: where rows are kept.
        clock: the time.
        policy: when a request is given up.
        lease_s: how long a claim lasts unless it is renewed.
        patience_s: how long a destination may take to answer before it is asked again.
        ae_titles: of the destinations that are asked, by name.
        new_uid: makes Transaction UIDs.
        randomness: for jitter.
        destination: claim only what goes there.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        policy: RetryPolicy,
        lease_s: float,
        patience_s: float,
        *,
        ae_titles: Mapping[str, str],
        new_uid: Callable[[], str],
        randomness: random.Random,
        destination: str | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._patience = timedelta(seconds=patience_s)
        self._ae_titles = ae_titles
        self._new_uid = new_uid
        self._randomness = randomness
        self._destination = destination
        self.claims = Claims(Commitment, CommitmentState.PENDING, CommitmentState.ASKING, lease_s)

    def claim(self, holder: str) -> CommitmentJob | None:
        """Take the request that has waited longest."""
        now = self._clock.now()
        due = self.claims.due(now).where(~is_paused(Pausable.DELIVERY))
        if self._destination is not None:
            due = due.join(Delivery, Delivery.id == Commitment.delivery_id)
            due = due.where(Delivery.destination == self._destination)
        with self._database.read() as session:
            if session.scalar(due) is None:
                return None
        with self._database.write() as session:
            locked = due.with_for_update(of=Commitment, skip_locked=True)
            row = self.claims.claim(session, locked, now, holder)
            if row is None:
                return None
            row.transaction_uid = self._new_uid()
            delivery = session.get_one(Delivery, row.delivery_id)
            document = session.get_one(Document, delivery.document_id)
            return CommitmentJob(
                lease_of(row),
                document.study_id,
                delivery.destination,
                row.transaction_uid,
                document.sop_class_uid,
                document.sop_instance_uid,
            )

    def renew(self, work: CommitmentJob) -> None:
        """Extend the lease."""
        with self._database.write() as session:
            self.claims.renew(session, work.lease, self._clock.now())

    def asked(self, job: CommitmentJob) -> None:
        """Record that the destination took the request; its answer may have come before."""
        now = self._clock.now()
        try:
            self._end(job.lease, state=CommitmentState.ASKED, available_at=now + self._patience)
        except LeaseLost:
            with self._database.read() as session:
                open_ = select(Commitment.id).where(
                    Commitment.id == job.lease.row_id, Commitment.state.in_(_OPEN)
                )
                if session.scalar(open_) is not None:
                    raise

    def retry(self, work: CommitmentJob, reason: str, at: datetime) -> None:
        """Put the request back to be claimed again at *at*."""
        self._end(work.lease, state=CommitmentState.PENDING, available_at=at, reason=reason)

    def give_back(self, work: CommitmentJob) -> None:
        """Return a request that was not made, as if it had not been tried."""
        with self._database.write() as session:
            self.claims.put_back(session, work.lease, self._clock.now())

    def bury(self, work: CommitmentJob, reason: str) -> None:
        """Make the request a dead letter."""
        self._end(work.lease, state=CommitmentState.DEAD, reason=reason)

    def skip(self, work: CommitmentJob, reason: str) -> None:
        """End the request; there is none that is not needed, so that is a dead letter too."""
        self.bury(work, reason)

    def take_over_from(self, holders: str) -> None:
        """Free at once what holders whose name begins so had claimed: the caller knows that they are dead."""
        with self._database.write() as session:
            self.claims.expire(session, holders, self._clock.now())
        self.rescue()

    def rescue(self) -> int:
        """Free the requests of workers that have not been heard of, and those unanswered; return how many."""
        now = self._clock.now()
        unanswered = select(Commitment).where(
            Commitment.state == CommitmentState.ASKED, Commitment.available_at <= now
        )
        return sum(
            self._ask_again(query, reason, now)
            for query, reason in (
                (self.claims.expired(now), "its worker was lost while asking"),
                (unanswered, "the destination took the request and did not answer"),
            )
        )

    def release(self, commitment_id: int) -> None:
        """Let a dead letter be tried again from the beginning.

        Raises:
            PermanentError: it is not a dead letter.
        """
        now = self._clock.now()
        with self._database.write() as session:
            released = session.scalar(
                update(Commitment)
                .where(Commitment.id == commitment_id, Commitment.state == CommitmentState.DEAD)
                .values(state=CommitmentState.PENDING, tries=0, available_at=now, changed_at=now)
                .returning(Commitment.id)
            )
            ring(session, COMMITMENTS)
        if released is None:
            raise PermanentError(
                f"commitment {commitment_id} is not a dead letter: there is nothing to retry"
            )
        log.info("commitment_released", commitment_id=commitment_id)

    def report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record what a peer says of a request; false if no such request of it is open."""
        names = [name for name, ae_title in self._ae_titles.items() if ae_title == calling_ae_title]
        with self._report_on(report, names) as found:
            if found is None:
                return False
            session, commitment, delivery, document = found
            if document.sop_instance_uid in report.committed:
                self._commit(commitment)
                log.info("committed", delivery_id=delivery.id, study_id=document.study_id)
            elif document.sop_instance_uid in report.failed:
                reason = report.failed[document.sop_instance_uid]
                self._send_again(session, delivery, document, reason)
            return True

    def _commit(self, commitment: Commitment) -> None:
        commitment.state = CommitmentState.COMMITTED
        commitment.holder = commitment.lease_expires_at = commitment.reason = None
        commitment.changed_at = self._clock.now()

    def _send_again(self, session: Session, delivery: Delivery, document: Document, failure: int) -> None:
        """Let a document that its destination does not answer for be sent again, or give it up."""
        now, reason = self._clock.now(), f"the destination does not answer for it (0x{failure:04X})"
        session.execute(delete(Commitment).where(Commitment.delivery_id == delivery.id))
        given_up = self._policy.is_exhausted(delivery.tries)
        delivery.state = DeliveryState.DEAD if given_up else DeliveryState.PENDING
        delivery.available_at = now + self._policy.delay(max(1, delivery.tries), self._randomness)
        delivery.reason, delivery.changed_at = reason, now
        study = lock_study(session, document.study_id)
        if study.state is StudyState.DELIVERED and is_current(session, document.id, study.id):
            move(study, StudyEvent.NOT_COMMITTED, now, reason)
            if given_up:
                move(study, StudyEvent.DELIVERY_GAVE_UP, now, reason)
        log.warning(
            "not_committed", delivery_id=delivery.id, study_id=study.id, status=f"0x{failure:04X}",
            state=delivery.state.value,
        )  # fmt: skip

    @contextmanager
    def _report_on(
        self, report: CommitmentReport, destinations: list[str]
    ) -> Iterator[tuple[Session, Commitment, Delivery, Document] | None]:
        """Open the transaction that ends an open request of one of these destinations, the study locked."""
        query = (
            select(Commitment, Delivery, Document)
            .join(Delivery, Delivery.id == Commitment.delivery_id)
            .join(Document, Document.id == Delivery.document_id)
            .where(
                Commitment.transaction_uid == report.transaction_uid,
                Commitment.state.in_(_OPEN),
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

    def _ask_again(self, query: Select[Commitment], reason: str, now: datetime) -> int:
        with self._database.write() as session:
            rows = session.scalars(query.with_for_update(skip_locked=True)).all()
            for row in rows:
                given_up = self._policy.is_exhausted(row.tries)
                row.state = CommitmentState.DEAD if given_up else CommitmentState.PENDING
                row.reason = f"{reason} ({row.tries} tries)"
                row.available_at = row.changed_at = now
                row.holder = row.lease_expires_at = None
            found = [(row.id, row.state) for row in rows]
        for commitment_id, state in found:
            log.warning("commitment_rescued", commitment_id=commitment_id, state=state.value)
        return len(found)

    def _end(self, lease: Lease, **values: object) -> None:
        with self._database.write() as session:
            self.claims.end(session, lease, self._clock.now(), **values)


def ask_for_commitment(session: Session, delivery_id: int, now: datetime) -> None:
    """Create the question for a delivery that has just been made; nothing if it has been asked."""
    ring(session, COMMITMENTS)
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


def is_uncommitted(study_id: object) -> Select[int]:
    """Return the query for requests of a study that no destination has answered for yet."""
    return (
        select(Commitment.id)
        .join(Delivery, Delivery.id == Commitment.delivery_id)
        .join(Document, Document.id == Delivery.document_id)
        .where(Document.study_id == study_id, Commitment.state != CommitmentState.COMMITTED)
    )
