"""Commitment requests of modalities, answered with the archive's result (PS3.4 Annex J).

    pending → asking → asked → settled (every instance has its status) → answering → answered

The node never promises anything itself: it records success only from a report of the archive, about
that SOP class and instance. It refuses at once what it must refuse itself. If the archive never
answers about an instance, the instance fails. The images of a modality stay in the spool until the
modality has its answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Select, SQLColumnExpression, insert, select, update
from sqlalchemy.orm import Session, aliased

from echo_node.domain.work.commitment import (
    COMMITTED,
    AnswerJob,
    CommitmentReport,
    CommitmentRequest,
    CommitmentRequestState,
    FailureReason,
    ReferencedInstance,
)
from echo_node.domain.work.kinds import ANSWERING, ASKING_ARCHIVE, COMMITMENT_REQUEST
from echo_node.domain.work.lifecycle import StudyEvent
from echo_node.storage.database.claims import lease_of
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.rows import insert_if_absent, lock_study
from echo_node.storage.database.tables import (
    Instance,
    ModalityRequest,
    RequestedInstance,
    SetAsideInstance,
    Study,
)
from echo_node.storage.queues.commitment_questions import QuestionQueue
from echo_node.storage.queues.work_queue import Columns, QueueContext, SqlWorkQueue

log = structlog.get_logger()

_CLOSED = (CommitmentRequestState.ANSWERED, CommitmentRequestState.DEAD)
_CHUNK = 1000


class CommitmentRequestQueue(QuestionQueue[ModalityRequest]):
    """Requests of modalities, and the questions to the archive about them.

    Implements the CommitmentRequestIntake port too. Its only peer is the archive.
    """

    table, kind, step = ModalityRequest, COMMITMENT_REQUEST, ASKING_ARCHIVE
    states = CommitmentRequestState

    def accept(self, request: CommitmentRequest) -> bool:
        """Make a request durable. A repeated request is the same, and may be answered again.

        Returns:
            False if that peer asked about other instances under this Transaction UID.
        """
        now = self._clock.now()
        with self._database.write() as session:
            is_new = insert_if_absent(
                session,
                ModalityRequest,
                state=CommitmentRequestState.PENDING,
                calling_ae_title=request.calling_ae_title,
                called_ae_title=request.called_ae_title,
                request_uid=request.transaction_uid,
                attempt=0,
                tries=0,
                available_at=now,
                created_at=now,
                changed_at=now,
            )
            row = session.scalars(
                select(ModalityRequest)
                .where(
                    ModalityRequest.calling_ae_title == request.calling_ae_title,
                    ModalityRequest.request_uid == request.transaction_uid,
                )
                .with_for_update()
            ).one()
            if not is_new:
                return self._accept_again(session, row, request, now)
            named = [
                {
                    "request_id": row.id,
                    "sop_class_uid": each.sop_class_uid,
                    "sop_instance_uid": each.sop_instance_uid,
                }
                for each in sorted(request.instances)
            ]
            for start in range(0, len(named), _CHUNK):
                session.execute(insert(RequestedInstance), named[start : start + _CHUNK])
            _refuse_unknown(session, row.id)
            notify(session, ASKING_ARCHIVE.topic)
            self._settle_if_known(session, row, now)
            request_id, state = row.id, row.state
        log.info(
            "commitment_requested",
            commitment_request_id=request_id,
            peer=request.calling_ae_title,
            count=len(request.instances),
            state=state.value,
        )
        return True

    def report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record the archive's answer; return whether this peer had an open question."""
        now = self._clock.now()
        with self._database.write() as session:
            row = session.scalars(
                select(ModalityRequest)
                .where(
                    self._is_asked(report.transaction_uid),
                    ModalityRequest.archive.in_(self._peers.named(calling_ae_title)),
                )
                .with_for_update()
            ).one_or_none()
            if row is None:
                return False
            for each in session.scalars(_unknown(row.id)):
                each.status = report.status_of(_named_by(each))
            session.flush()
            self._settle_if_known(session, row, now)
        return True

    def _question(self, session: Session, row: ModalityRequest) -> tuple[str, tuple[ReferencedInstance, ...]]:
        (archive,) = self._peers.ae_titles
        if row.archive not in {None, archive}:  # commitments of an archive that was replaced do not count
            session.execute(
                update(RequestedInstance)
                .where(RequestedInstance.request_id == row.id, RequestedInstance.status == COMMITTED)
                .values(status=None)
            )
        row.archive = archive
        return archive, tuple(_named_by(each) for each in session.scalars(_unknown(row.id)))

    def _columns_after(self, session: Session, row_id: int, event: StudyEvent, now: datetime) -> Columns:
        """Settle a request that the archive never answers: the unknown instances have failed."""
        if event is not StudyEvent.GAVE_UP:
            return super()._columns_after(session, row_id, event, now)
        session.execute(
            update(RequestedInstance)
            .where(RequestedInstance.request_id == row_id, RequestedInstance.status.is_(None))
            .values(status=FailureReason.PROCESSING_FAILURE)
        )
        log.warning(
            "commitment_request_settled", commitment_request_id=row_id, reason="the archive does not answer"
        )
        return _settled(session, now)

    def _settle_if_known(self, session: Session, row: ModalityRequest, now: datetime) -> None:
        if session.scalar(_unknown(row.id).limit(1)) is None:
            columns = _settled(session, now) | {"holder": None, "lease_expires_at": None, "changed_at": now}
            for name, value in columns.items():
                setattr(row, name, value)
            log.info("commitment_request_settled", commitment_request_id=row.id)

    def _accept_again(
        self, session: Session, row: ModalityRequest, request: CommitmentRequest, now: datetime
    ) -> bool:
        named = select(RequestedInstance).where(RequestedInstance.request_id == row.id)
        if {_named_by(each) for each in session.scalars(named)} != request.instances:
            return False
        if row.state in _CLOSED:
            self._settle_if_known(session, row, now)
        return True


class AnswerQueue(SqlWorkQueue[ModalityRequest, AnswerJob]):
    """Answers to modalities. Implements the AnswerLedger port too.

    Args:
        context: surroundings of the queue.
        ae_titles: AE title of the archive, by its configured name.
    """

    table, kind, step = ModalityRequest, COMMITMENT_REQUEST, ANSWERING

    def __init__(self, context: QueueContext, ae_titles: Mapping[str, str]) -> None:
        super().__init__(context)
        self._ae_titles = ae_titles

    def answered(self, job: AnswerJob) -> None:
        """Record that the modality has its answer."""
        with self._database.write() as session:
            self.claims.end(session, job.lease, self._clock.now(), state=CommitmentRequestState.ANSWERED)

    def _due(self, now: datetime) -> Select[int]:
        """Leave out modalities that are being answered: a slow one occupies one worker only."""
        other = aliased(ModalityRequest)
        is_being_answered = select(other.id).where(
            other.state == self.step.running, other.calling_ae_title == ModalityRequest.calling_ae_title
        )
        return super()._due(now).where(~is_being_answered.exists())

    def _claimed(self, session: Session, row: ModalityRequest, now: datetime) -> AnswerJob:
        named = select(RequestedInstance).where(RequestedInstance.request_id == row.id)
        return AnswerJob(
            lease_of(row),
            row.calling_ae_title,
            row.called_ae_title,
            row.request_uid,
            self._ae_titles.get(row.archive or "", ""),
            {
                _named_by(each): FailureReason.PROCESSING_FAILURE if each.status is None else each.status
                for each in session.scalars(named.order_by(RequestedInstance.id))
            },
        )


def open_requests_about(study_id: int | SQLColumnExpression[int]) -> Select[int]:
    """Return the query for modalities' unanswered requests about the images of a study."""
    return (
        select(ModalityRequest.id)
        .join(RequestedInstance, RequestedInstance.request_id == ModalityRequest.id)
        .join(Instance, Instance.sop_instance_uid == RequestedInstance.sop_instance_uid)
        .where(Instance.study_id == study_id, ModalityRequest.state.not_in(_CLOSED))
    )


def _refuse_unknown(session: Session, request_id: int) -> None:
    """Fail the instances that the node must refuse itself.

    The studies of the others are locked. Retention locks a study before it removes images, and so
    sees the request. An image that retention removed earlier counts as known: the archive is asked
    in any case. If other content was set aside under an image's UID, the archive may have either,
    so the image fails.
    """
    found: Sequence[Any] = session.execute(
        select(RequestedInstance, Instance.id, Instance.sop_class_uid, Study.study_instance_uid, Study.id)
        .outerjoin(Instance, Instance.sop_instance_uid == RequestedInstance.sop_instance_uid)
        .outerjoin(Study, Study.id == Instance.study_id)
        .where(RequestedInstance.request_id == request_id)
    ).all()
    # In the order of group commits, which prevents deadlocks.
    for _, study_id in sorted({(uid, study_id) for *_, uid, study_id in found if study_id is not None}):
        lock_study(session, study_id)
    disputed = set(
        session.scalars(
            select(SetAsideInstance.instance_id)
            .join(Instance, Instance.id == SetAsideInstance.instance_id)
            .join(RequestedInstance, RequestedInstance.sop_instance_uid == Instance.sop_instance_uid)
            .where(RequestedInstance.request_id == request_id)
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


def _settled(session: Session, now: datetime) -> Columns:
    """Return the columns of a request whose instances all have their status."""
    notify(session, ANSWERING.topic)
    return {"state": CommitmentRequestState.SETTLED, "tries": 0, "available_at": now}


def _unknown(request_id: int) -> Select[RequestedInstance]:
    """Return the query for the instances of a request whose status is not known yet."""
    return (
        select(RequestedInstance)
        .where(RequestedInstance.request_id == request_id, RequestedInstance.status.is_(None))
        .order_by(RequestedInstance.id)
    )


def _named_by(row: RequestedInstance) -> ReferencedInstance:
    return ReferencedInstance(row.sop_class_uid, row.sop_instance_uid)
