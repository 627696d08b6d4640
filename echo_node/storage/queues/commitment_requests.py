"""Promises: modalities ask whether their images are safe, and are given the archive's word (PS3.4 Annex J).

    pending → asking → asked → settled (every image has its status) → answering → answered

Success is never our own word: it is recorded from a report of the archive alone, of that SOP class and
instance. What the node itself must say no to is settled when the request comes; what the archive never
answers for is settled as a failure. Until a modality has its answer its images stay in the spool.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session, aliased

from echo_node.domain.ports import Clock
from echo_node.domain.work.commitment import (
    COMMITTED,
    AnswerJob,
    CommitmentReport,
    CommitmentRequest,
    FailureReason,
    PromiseState,
    ReferencedInstance,
)
from echo_node.domain.work.job import RetryPolicy
from echo_node.storage.database.claims import Claims, lease_of
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import ANSWERS, PROMISES, notify
from echo_node.storage.database.rows import insert_if_absent, lock_study
from echo_node.storage.database.tables import Conflict, Instance, Promise, PromisedInstance, Study
from echo_node.storage.queues.commitment_questions import Asking
from echo_node.storage.queues.work_queue import RowQueue

log = structlog.get_logger()

_CLOSED = (PromiseState.ANSWERED, PromiseState.DEAD)
_CHUNK = 1000


class PromiseQueue(Asking[Promise]):
    """Modalities' requests, and the questions to the archive about them.

    Fulfils domain.ports.PromiseIntake, WorkQueue and CommitmentLedger; `ae_titles` is that of the archive.
    """

    table, states, kind, topic = Promise, PromiseState, "promise", PROMISES

    def accept(self, request: CommitmentRequest) -> bool:
        """Make a request durable; a repeated one is the same, and its answer, if given, is given again.

        Returns:
            False if that peer has asked about something else under this Transaction UID.
        """
        now = self._clock.now()
        with self._database.write() as session:
            is_new = insert_if_absent(
                session,
                Promise,
                state=PromiseState.PENDING,
                calling_ae_title=request.calling_ae_title,
                called_ae_title=request.called_ae_title,
                request_uid=request.transaction_uid,
                attempt=0,
                tries=0,
                available_at=now,
                created_at=now,
                changed_at=now,
            )
            promise = session.scalars(
                select(Promise)
                .where(
                    Promise.calling_ae_title == request.calling_ae_title,
                    Promise.request_uid == request.transaction_uid,
                )
                .with_for_update()
            ).one()
            if not is_new:
                return self._accept_again(session, promise, request, now)
            named = [
                {
                    "promise_id": promise.id,
                    "sop_class_uid": each.sop_class_uid,
                    "sop_instance_uid": each.sop_instance_uid,
                }
                for each in sorted(request.instances)
            ]
            for start in range(0, len(named), _CHUNK):
                session.execute(insert(PromisedInstance), named[start : start + _CHUNK])
            _refuse_what_is_not_held(session, promise.id)
            notify(session, PROMISES)
            self._settle_if_known(session, promise, now)
            promise_id, state = promise.id, promise.state
        log.info(
            "commitment_requested",
            promise_id=promise_id,
            peer=request.calling_ae_title,
            count=len(request.instances),
            state=state.value,
        )
        return True

    def report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record what the archive says of a question; false if no such question to it is open."""
        now = self._clock.now()
        with self._database.write() as session:
            promise = session.scalars(
                select(Promise)
                .where(
                    self._is_asked(report.transaction_uid),
                    Promise.archive.in_(self._named(calling_ae_title)),
                )
                .with_for_update()
            ).one_or_none()
            if promise is None:
                return False
            for each in session.scalars(_unknown(promise.id)):
                each.status = report.status_of(_named_by(each))
            session.flush()
            self._settle_if_known(session, promise, now)
        return True

    def _question(self, session: Session, row: Promise) -> tuple[str, tuple[ReferencedInstance, ...]]:
        (archive,) = self._ae_titles
        if row.archive not in (
            None,
            archive,
        ):  # the word of an archive that has been replaced is worth nothing
            session.execute(
                update(PromisedInstance)
                .where(PromisedInstance.promise_id == row.id, PromisedInstance.status == COMMITTED)
                .values(status=None)
            )
        row.archive = archive
        return archive, tuple(_named_by(each) for each in session.scalars(_unknown(row.id)))

    def _given_up(self, session: Session, row_id: int, now: datetime) -> dict[str, object]:
        """Settle a request without the archive: what it has not answered for has failed."""
        session.execute(
            update(PromisedInstance)
            .where(PromisedInstance.promise_id == row_id, PromisedInstance.status.is_(None))
            .values(status=FailureReason.PROCESSING_FAILURE)
        )
        log.warning("promise_settled", promise_id=row_id, reason="the archive does not answer")
        return _settled(session, now)

    def _settle_if_known(self, session: Session, promise: Promise, now: datetime) -> None:
        if session.scalar(_unknown(promise.id).limit(1)) is None:
            changes = _settled(session, now) | {"holder": None, "lease_expires_at": None, "changed_at": now}
            for name, value in changes.items():
                setattr(promise, name, value)
            log.info("promise_settled", promise_id=promise.id)

    def _accept_again(
        self, session: Session, promise: Promise, request: CommitmentRequest, now: datetime
    ) -> bool:
        named = select(PromisedInstance).where(PromisedInstance.promise_id == promise.id)
        if {_named_by(each) for each in session.scalars(named)} != request.instances:
            return False
        if promise.state in _CLOSED:
            self._settle_if_known(session, promise, now)
        return True


class AnswerQueue(RowQueue[Promise]):
    """Answers to modalities (domain.ports.WorkQueue and AnswerLedger).

    Args:
        database: where rows are kept.
        clock: the time.
        policy: when an answer is given up.
        lease_s: how long a claim lasts unless it is renewed.
        ae_titles: of the archive, by name.
        randomness: for jitter.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        policy: RetryPolicy,
        lease_s: float,
        *,
        ae_titles: Mapping[str, str],
        randomness: random.Random,
    ) -> None:
        super().__init__(
            database,
            clock,
            policy,
            Claims(Promise, PromiseState.SETTLED, PromiseState.ANSWERING, lease_s),
            dead=PromiseState.DEAD,
            kind="promise",
            topic=ANSWERS,
            randomness=randomness,
        )
        self._ae_titles = ae_titles

    def claim(self, holder: str) -> AnswerJob | None:
        """Take the answer that has waited longest, to a modality that is not being answered already."""
        with self._claimed(holder) as claimed:
            if claimed is None:
                return None
            session, row = claimed
            named = select(PromisedInstance).where(PromisedInstance.promise_id == row.id)
            return AnswerJob(
                lease_of(row),
                row.calling_ae_title,
                row.called_ae_title,
                row.request_uid,
                self._ae_titles.get(row.archive or "", ""),
                {
                    _named_by(each): FailureReason.PROCESSING_FAILURE if each.status is None else each.status
                    for each in session.scalars(named.order_by(PromisedInstance.id))
                },
            )

    def answered(self, job: AnswerJob) -> None:
        """Record that the modality has its answer."""
        self._end(job.lease, state=PromiseState.ANSWERED)

    def _due(self, now: datetime) -> Select[int]:
        """Leave out modalities that a worker talks to: one that is slow holds up one worker, not all."""
        other = aliased(Promise)
        is_being_answered = (
            select(other.id)
            .where(other.state == PromiseState.ANSWERING, other.calling_ae_title == Promise.calling_ae_title)
            .exists()
        )
        return super()._due(now).where(~is_being_answered)


def is_promised(study_id: object) -> Select[int]:
    """Return the query for modalities' requests about a study's images that are not answered yet."""
    return (
        select(Promise.id)
        .join(PromisedInstance, PromisedInstance.promise_id == Promise.id)
        .join(Instance, Instance.sop_instance_uid == PromisedInstance.sop_instance_uid)
        .where(Instance.study_id == study_id, Promise.state.not_in(_CLOSED))
    )


def _refuse_what_is_not_held(session: Session, promise_id: int) -> None:
    """Give their status to the instances that the archive need not be asked about.

    The studies of the others are locked, as retention does before it removes images: it then sees the
    request. An image that it removed before counts as held, since the archive is asked in any case; of one
    whose UID has other content too, set aside, nobody can say which one the archive has.
    """
    found: Sequence[Any] = session.execute(
        select(PromisedInstance, Instance.id, Instance.sop_class_uid, Study.study_instance_uid, Study.id)
        .outerjoin(Instance, Instance.sop_instance_uid == PromisedInstance.sop_instance_uid)
        .outerjoin(Study, Study.id == Instance.study_id)
        .where(PromisedInstance.promise_id == promise_id)
    ).all()
    # In the order of group commits, so that neither waits for the other for ever.
    for _, study_id in sorted({(uid, study_id) for *_, uid, study_id in found if study_id is not None}):
        lock_study(session, study_id)
    disputed = set(
        session.scalars(
            select(Conflict.instance_id)
            .join(Instance, Instance.id == Conflict.instance_id)
            .join(PromisedInstance, PromisedInstance.sop_instance_uid == Instance.sop_instance_uid)
            .where(PromisedInstance.promise_id == promise_id)
        )
    )
    for named, instance_id, sop_class_uid, *_ in found:
        if instance_id is None:
            named.status = FailureReason.NO_SUCH_INSTANCE
        elif named.sop_class_uid != sop_class_uid:
            named.status = FailureReason.CLASS_INSTANCE_CONFLICT
        elif instance_id in disputed:
            named.status = FailureReason.PROCESSING_FAILURE
    session.flush()


def _settled(session: Session, now: datetime) -> dict[str, object]:
    """Return what a request becomes when every instance has its status."""
    notify(session, ANSWERS)
    return {"state": PromiseState.SETTLED, "tries": 0, "available_at": now}


def _unknown(promise_id: int) -> Select[PromisedInstance]:
    """Return the query for the instances of a request that have no status yet."""
    return (
        select(PromisedInstance)
        .where(PromisedInstance.promise_id == promise_id, PromisedInstance.status.is_(None))
        .order_by(PromisedInstance.id)
    )


def _named_by(row: PromisedInstance) -> ReferencedInstance:
    return ReferencedInstance(row.sop_class_uid, row.sop_instance_uid)
