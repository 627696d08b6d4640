"""Queue of drafting jobs. A study moves with its job, in the same transaction."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from echo_node.domain.work.job import DraftJob, JobState
from echo_node.domain.work.kinds import DRAFTING, JOB
from echo_node.domain.work.lifecycle import StudyEvent
from echo_node.errors import PermanentError
from echo_node.storage.database.claims import lease_of
from echo_node.storage.database.drafting_order import prioritise
from echo_node.storage.database.rows import lock_study, move
from echo_node.storage.database.tables import Job, Study
from echo_node.storage.queues.work_queue import Columns, QueueContext, SqlWorkQueue

log = structlog.get_logger()


class JobQueue(SqlWorkQueue[Job, DraftJob]):
    """Jobs to draft a revision of a study: urgent ones first, then those of the senders in turn.

    Args:
        context: surroundings of the queue.
        worker_losses: number of lost workers after which a job becomes a dead letter.
    """

    table, kind, step = Job, JOB, DRAFTING

    def __init__(self, context: QueueContext, worker_losses: int = 2) -> None:
        super().__init__(context)
        self._worker_losses = worker_losses

    def skip(self, work: DraftJob, reason: str) -> None:
        """End the job without a draft: its study is not eligible."""
        self._end(work.lease, StudyEvent.NOT_ELIGIBLE, reason)

    def prioritise(self, study_id: int) -> None:
        """Draft a study, and every later revision of it, before studies that are not urgent.

        Raises:
            PermanentError: there is no such study.
        """
        with self._database.write() as session:
            if session.get(Study, study_id) is None:
                raise PermanentError(f"there is no study {study_id}")
            prioritise(session, lock_study(session, study_id))
        log.info("study_urgent", study_id=study_id)

    def _due(self, now: datetime) -> Select[int]:
        return self.claims.due(now, Job.precedence, Job.turn)

    def _locking(self, due: Select[int]) -> Select[int]:
        """Lock the study with its job: an arriving instance locks the study first, then the job."""
        return due.join(Study, Study.id == Job.study_id).with_for_update(of=(Job, Study), skip_locked=True)

    def _claimed(self, session: Session, row: Job, now: datetime) -> DraftJob:
        study = lock_study(session, row.study_id)
        move(study, StudyEvent.CLAIMED, now)
        return DraftJob(lease_of(row), study.id, study.study_instance_uid, row.revision)

    def _lock_study(self, session: Session, row_id: int) -> Study:
        its_study = select(Study).join(Job, Job.study_id == Study.id).where(Job.id == row_id)
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
        move(study, event, now, reason)

    def _columns_after(self, session: Session, row_id: int, event: StudyEvent, now: datetime) -> Columns:
        columns = super()._columns_after(session, row_id, event, now)
        if event is StudyEvent.NOT_ELIGIBLE:
            columns["state"] = JobState.SKIPPED
        if event is StudyEvent.RELEASED:
            columns["losses"] = 0
        return columns

    def _charge(self, row: Job) -> None:
        row.losses += 1

    def _is_exhausted(self, row: Job) -> bool:
        return row.losses >= self._worker_losses or super()._is_exhausted(row)

    def _history(self, row: Job) -> str:
        return f"{row.losses} times, {super()._history(row)}"
