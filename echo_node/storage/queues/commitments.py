"""Commitments: the question whether a destination answers for a document that it was sent (PS3.4 Annex J).

    pending → asking → asked → committed

How they are asked stands in `asking.py`. A document that its destination does not answer for is sent again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import structlog
from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from echo_node.domain.ports import Clock
from echo_node.domain.work.commitment import COMMITTED, CommitmentReport, CommitmentState, ReferencedInstance
from echo_node.domain.work.job import DeliveryState, RetryPolicy
from echo_node.domain.work.lifecycle import StudyEvent, StudyState
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import COMMITMENTS, notify
from echo_node.storage.database.rows import insert_if_absent, lock_study, move
from echo_node.storage.database.tables import Commitment, Delivery, Document
from echo_node.storage.ledgers.documents import is_current, settle
from echo_node.storage.ledgers.withdrawn import WITHDRAWN, is_withdrawn, reopen_withdrawal
from echo_node.storage.queues.commitment_questions import Asking

log = structlog.get_logger()


class CommitmentQueue(Asking[Commitment]):
    """Questions to one destination, or to all (domain.ports.WorkQueue and CommitmentLedger).

    Args:
        database: where rows are kept.
        clock: the time.
        policy: when a question is given up.
        lease_s: how long a claim lasts unless it is renewed.
        patience_s: how long a destination may take to answer before it is asked again.
        ae_titles: of the destinations that are asked, by name.
        new_uid: makes Transaction UIDs.
        randomness: for jitter.
        destination: claim only what goes there.
    """

    table, states, kind, topic = Commitment, CommitmentState, "commitment", COMMITMENTS

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
        super().__init__(
            database,
            clock,
            policy,
            lease_s,
            patience_s,
            ae_titles=ae_titles,
            new_uid=new_uid,
            randomness=randomness,
        )
        self._destination = destination

    def _due(self, now: datetime) -> Select[int]:
        due = super()._due(now)
        if self._destination is not None:
            due = due.join(Delivery, Delivery.id == Commitment.delivery_id)
            due = due.where(Delivery.destination == self._destination)
        return due

    def _question(self, session: Session, row: Commitment) -> tuple[str, tuple[ReferencedInstance, ...]]:
        delivery = session.get_one(Delivery, row.delivery_id)
        return delivery.destination, (_instance(session.get_one(Document, delivery.document_id)),)

    def report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record what a peer says of a request; false if no such request of it is open."""
        with self._report_on(report, self._named(calling_ae_title)) as found:
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
        if is_withdrawn(session, document.id):
            delivery.state = DeliveryState.STOPPED
        elif study.state in WITHDRAWN:
            if study.state is StudyState.WITHDRAWN:
                reopen_withdrawal(session, study, StudyEvent.NOT_COMMITTED, now)
            settle(session, study, now)
        elif study.state is StudyState.DELIVERED and is_current(session, document.id, study.id):
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
    """Create the question for a delivery that has just been made; nothing if it has been asked."""
    notify(session, COMMITMENTS)
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


def _instance(document: Document) -> ReferencedInstance:
    return ReferencedInstance(document.sop_class_uid, document.sop_instance_uid)
