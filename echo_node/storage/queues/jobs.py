"""The queue of drafting jobs. A study's state moves with its job's, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from echo_node.domain.ports import Clock
from echo_node.domain.work.job import DraftJob, JobState, RetryPolicy
from echo_node.domain.work.lifecycle import StudyEvent
from echo_node.domain.work.pausable import Pausable
from echo_node.errors import PermanentError
from echo_node.storage.database.claims import Claims, lease_of
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import JOBS, notify
from echo_node.storage.database.rows import lock_study, move, prioritise
from echo_node.storage.database.tables import Job, Study
from echo_node.storage.queues.pauses import is_paused

log = structlog.get_logger()


class JobQueue:
    """Jobs to draft a study's revision (domain.ports.WorkQueue).

    Args:
        database: where they are kept.
        clock: the time.
        policy: when a job whose worker was lost is given up.
        lease_s: how long a claim lasts unless it is renewed.
        worker_losses: how many workers a job may cost before it is set aside.
    """

    def __init__(
        self, database: Database, clock: Clock, policy: RetryPolicy, lease_s: float, worker_losses: int = 2
    ) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._worker_losses = worker_losses
        self.claims = Claims(Job, JobState.READY, JobState.RUNNING, lease_s)

    def claim(self, holder: str) -> DraftJob | None:
        """Take an urgent job, or else the next one of the senders in turn; none while drafting is paused."""
        now = self._clock.now()
        due = self.claims.due(now, Job.precedence, Job.turn).where(~is_paused(Pausable.DRAFTING))
        with self._database.read() as session:
            if session.scalar(due) is None:
                return None
        with self._database.write() as session:
            # The study is locked with its job: an arriving instance locks the study, then the job.
            locked = due.join(Study, Study.id == Job.study_id).with_for_update(
                of=(Job, Study), skip_locked=True
            )
            job = self.claims.claim(session, locked, now, holder)
            if job is None:
                return None
            study = lock_study(session, job.study_id)
            move(study, StudyEvent.CLAIMED, now)
            return DraftJob(lease_of(job), study.id, study.study_instance_uid, job.revision)

    def renew(self, work: DraftJob) -> None:
        """Extend the lease."""
        with self._database.write() as session:
            self.claims.renew(session, work.lease, self._clock.now())

    def retry(self, work: DraftJob, reason: str, at: datetime) -> None:
        """Put the job back to be claimed again at *at*."""
        with self._ending(work) as (session, study, now):
            self.claims.end(session, work.lease, now, state=JobState.READY, available_at=at, reason=reason)
            move(study, StudyEvent.RETRY, now, reason)

    def release_claim(self, work: DraftJob) -> None:
        """Return a job that was not done, as if it had not been tried."""
        with self._ending(work) as (session, study, now):
            self.claims.put_back(session, work.lease, now)
            move(study, StudyEvent.RETRY, now)

    def dead_letter(self, work: DraftJob, reason: str) -> None:
        """Make the job a dead letter."""
        with self._ending(work) as (session, study, now):
            self.claims.end(session, work.lease, now, state=JobState.DEAD, reason=reason)
            move(study, StudyEvent.GAVE_UP, now, reason)

    def skip(self, work: DraftJob, reason: str) -> None:
        """End the job: its study is not one to draft."""
        with self._ending(work) as (session, study, now):
            self.claims.end(session, work.lease, now, state=JobState.SKIPPED, reason=reason)
            move(study, StudyEvent.NOT_ELIGIBLE, now, reason)

    def reclaim_from(self, holders: str, died_alone: str = "") -> None:
        """Free at once what holders whose name begins so had claimed: the caller knows that they are dead.

        Args:
            holders: the beginning of their names.
            died_alone: the beginning of the names of those that died while the rest of the node lived on.
                The others went down with it, which is no fault of their jobs.
        """
        for dead, is_loss in ((died_alone, True), (holders, not died_alone)):
            if dead:
                with self._database.write() as session:
                    self.claims.expire(session, dead, self._clock.now())
                self._rescue_expired(is_loss=is_loss)

    def rescue(self) -> int:
        """Free the jobs of workers that have not been heard of; return how many."""
        return self._rescue_expired(is_loss=True)

    def _rescue_expired(self, *, is_loss: bool) -> int:
        now = self._clock.now()
        with self._database.read() as session:
            expired = [(job.id, job.study_id) for job in session.scalars(self.claims.expired(now))]
        return sum(self._rescue(job_id, study_id, now, is_loss=is_loss) for job_id, study_id in expired)

    def release(self, job_id: int) -> None:
        """Let a dead letter be tried again from the beginning.

        Raises:
            PermanentError: it is not a dead letter.
        """
        now = self._clock.now()
        with self._database.write() as session:
            study_id = session.scalar(select(Job.study_id).where(Job.id == job_id))
            if study_id is None:
                raise PermanentError(f"there is no job {job_id}")
            study = lock_study(session, study_id)
            if self.claims.release(session, job_id, JobState.DEAD, now, losses=0) is None:
                raise PermanentError(f"job {job_id} is not a dead letter: there is nothing to retry")
            move(study, StudyEvent.RELEASED, now)
            notify(session, JOBS)
        log.info("job_released", job_id=job_id, study_id=study_id)

    def prioritise(self, study_id: int) -> None:
        """Let a study be drafted before others, if it still waits, and in every later revision.

        Raises:
            PermanentError: there is no such study.
        """
        with self._database.write() as session:
            if session.get(Study, study_id) is None:
                raise PermanentError(f"there is no study {study_id}")
            prioritise(session, lock_study(session, study_id))
        log.info("study_urgent", study_id=study_id)

    def _rescue(self, job_id: int, study_id: int, now: datetime, *, is_loss: bool) -> bool:
        with self._database.write() as session:
            study = lock_study(session, study_id)
            job = session.scalars(self.claims.expired(now).where(Job.id == job_id)).one_or_none()
            if job is None:
                return False
            lease, losses = lease_of(job), job.losses + is_loss
            given_up = losses >= self._worker_losses or self._policy.is_exhausted(lease.tries)
            reason = f"its worker was lost while drafting ({losses} times, {lease.tries} tries)"
            state = JobState.DEAD if given_up else JobState.READY
            self.claims.end(session, lease, now, state=state, available_at=now, losses=losses, reason=reason)
            move(study, StudyEvent.GAVE_UP if given_up else StudyEvent.RETRY, now, reason)
        log.warning("job_rescued", job_id=job_id, study_id=study_id, state="dead" if given_up else "ready")
        return True

    @contextmanager
    def _ending(self, work: DraftJob) -> Iterator[tuple[Session, Study, datetime]]:
        """Open the transaction that ends a claim, the study locked first."""
        with self._database.write() as session:
            yield session, lock_study(session, work.study_id), self._clock.now()
