"""Work queue: claims, retries, dead letters, rescue and release, for every kind of work.

Each queue is a subclass that names its table and its step (domain/work/kinds.py). A subclass whose
rows move their study overrides `_lock_study` and `_move_study`. The study's row is always locked
before the row.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Generic

import structlog
from sqlalchemy import Select
from sqlalchemy.orm import Session

from echo_node.domain.ports import Clock, Work
from echo_node.domain.work.job import Lease
from echo_node.domain.work.kinds import Step, WorkKind
from echo_node.domain.work.lifecycle import StudyEvent
from echo_node.domain.work.retry import RetryPolicy
from echo_node.errors import PermanentError
from echo_node.storage.database.claims import Claims, Row
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.tables import Study
from echo_node.storage.queues.pauses import is_paused

log = structlog.get_logger()

Columns = dict[str, StrEnum | datetime | str | int | None]
"""Columns of a row and their new values."""


@dataclass(frozen=True, slots=True)
class QueueContext:
    """Surroundings of a work queue.

    Attributes:
        database: database of the rows.
        clock: source of time.
        policy: number of tries, and delays between them.
        lease_s: lease duration, in seconds, until a claim is renewed.
        randomness: source of jitter.
    """

    database: Database
    clock: Clock
    policy: RetryPolicy
    lease_s: float
    randomness: random.Random


class SqlWorkQueue(ABC, Generic[Row, Work]):
    """Queue of one step of a kind of work. Implements the WorkQueue port.

    Attributes:
        table: mapped class of its rows.
        kind: kind of work.
        step: step of that kind.
        claims: claims on its rows.

    Args:
        context: surroundings of the queue.
    """

    table: type[Row]
    kind: ClassVar[WorkKind]
    step: ClassVar[Step]

    def __init__(self, context: QueueContext) -> None:
        self._database = context.database
        self._clock = context.clock
        self._policy = context.policy
        self._randomness = context.randomness
        self.claims = Claims(self.table, self.step.ready, self.step.running, context.lease_s)

    def claim(self, holder: str) -> Work | None:
        """Claim the next row that is due; None if no row is, or if its kind of work is paused."""
        now = self._clock.now()
        due = self._due(now).where(~is_paused(self.kind.pausable))
        with self._database.read() as session:  # look first: a reader does not wait for writers
            if session.scalar(due) is None:
                return None
        with self._database.write() as session:
            row = self.claims.claim(session, self._locking(due), now, holder)
            return None if row is None else self._claimed(session, row, now)

    def renew(self, work: Work) -> None:
        """Extend the lease."""
        with self._database.write() as session:
            self.claims.renew(session, work.lease, self._clock.now())

    def retry(self, work: Work, reason: str, at: datetime) -> None:
        """Make the row ready again at *at*."""
        self._end(work.lease, StudyEvent.RETRY, reason, available_at=at)

    def release_claim(self, work: Work) -> None:
        """Make the row ready again, as if it had not been tried."""
        tries = work.lease.tries - 1
        self._end(work.lease, StudyEvent.RETRY, None, available_at=self._clock.now(), tries=tries)

    def dead_letter(self, work: Work, reason: str) -> None:
        """Make the row a dead letter."""
        self._end(work.lease, StudyEvent.GAVE_UP, reason)

    def reclaim_from(self, holders: str, died_alone: str = "") -> None:
        """Reclaim at once the rows of workers that the caller knows to be dead.

        Args:
            holders: beginning of their names.
            died_alone: beginning of the names of those that died while the rest of the node lived
                on. The others died with the node, which is not the fault of their work.
        """
        for dead, is_loss in ((died_alone, True), (holders, not died_alone)):
            if dead:
                with self._database.write() as session:
                    self.claims.expire(session, dead, self._clock.now())
                self._rescue_lost(is_loss=is_loss)

    def rescue(self) -> int:
        """Reclaim the rows of workers whose lease has expired; return the number of rows."""
        return self._rescue_lost(is_loss=True)

    def release(self, row_id: int) -> None:
        """Retry a dead letter, its tries counted from the beginning.

        Raises:
            PermanentError: there is no such row, or it is not a dead letter.
        """
        with self._database.read() as session:
            if session.get(self.table, row_id) is None:
                raise PermanentError(f"there is no {self.kind} {row_id}")
        with self._changing(row_id) as (session, study, now):
            columns = self._columns_after(session, row_id, StudyEvent.RELEASED, now)
            if self.claims.release(session, row_id, self.kind.dead, now, **columns) is None:
                raise PermanentError(f"{self.kind} {row_id} is not a dead letter: there is nothing to retry")
            notify(session, self.step.topic)
            if study is not None:
                self._move_study(session, row_id, study, StudyEvent.RELEASED, now, None)
            its_study = _id_of(study)
        log.info("work_released", kind=str(self.kind), job_id=row_id, **its_study)

    def _due(self, now: datetime) -> Select[int]:
        """Return the query for the id of the next row to claim."""
        return self.claims.due(now)

    def _locking(self, due: Select[int]) -> Select[int]:
        """Return the query for the next row that no other worker is claiming, locked."""
        return due.with_for_update(of=self.table, skip_locked=True)

    @abstractmethod
    def _claimed(self, session: Session, row: Row, now: datetime) -> Work:
        """Return the work of a row that has just been claimed, in the same transaction."""

    def _lock_study(self, session: Session, row_id: int) -> Study | None:
        """Lock the study that moves with a row; None if none does."""
        return None

    def _move_study(
        self,
        session: Session,
        row_id: int,
        study: Study,
        event: StudyEvent,
        now: datetime,
        reason: str | None,
    ) -> None:
        """Move the locked study with its row, which has its new state already."""

    def _columns_after(self, session: Session, row_id: int, event: StudyEvent, now: datetime) -> Columns:
        """Return the columns of a row that an event sets: its state, and those that go with it."""
        return {"state": self.kind.dead if event is StudyEvent.GAVE_UP else self.step.ready}

    def _charge(self, row: Row) -> None:
        """Charge a row with the loss of its worker."""

    def _is_exhausted(self, row: Row) -> bool:
        """Return whether a row that its worker did not finish becomes a dead letter."""
        return self._policy.is_exhausted(row.tries)

    def _history(self, row: Row) -> str:
        """Return the number of tries, for the reason of a row that was rescued."""
        return f"{row.tries} tries"

    def _end(self, lease: Lease, event: StudyEvent, reason: str | None, **columns: datetime | int) -> None:
        """End a claim: give the row its columns after an event, and move its study."""
        with self._changing(lease.row_id) as (session, study, now):
            after = self._columns_after(session, lease.row_id, event, now)
            self.claims.end(session, lease, now, **(columns | after), reason=reason)
            if study is not None:
                self._move_study(session, lease.row_id, study, event, now, reason)

    def _rescue_lost(self, *, is_loss: bool) -> int:
        reason = f"its worker was lost while {self.step.activity}"
        return self._rescue(self.claims.expired(self._clock.now()), reason, is_loss=is_loss)

    def _rescue(
        self, lost: Select[Row], reason: str, *, is_loss: bool = False, backs_off: bool = False
    ) -> int:
        """Make abandoned rows ready again, or dead letters; return the number of rows.

        Args:
            lost: query for the rows.
            reason: reason, for the operator.
            is_loss: whether the rows are charged with the loss of their worker.
            backs_off: whether they wait as after a failure; otherwise they are ready at once.
        """
        with self._database.read() as session:
            found = session.scalars(lost.with_only_columns(self.table.id)).all()
        return sum(
            self._rescue_row(lost, row_id, reason, is_loss=is_loss, backs_off=backs_off) for row_id in found
        )

    def _rescue_row(
        self, lost: Select[Row], row_id: int, reason: str, *, is_loss: bool, backs_off: bool
    ) -> bool:
        with self._changing(row_id) as (session, study, now):
            locked = lost.where(self.table.id == row_id).with_for_update(of=self.table, skip_locked=True)
            row = session.scalars(locked).one_or_none()
            if row is None:
                return False
            if is_loss:
                self._charge(row)
            reason = f"{reason} ({self._history(row)})"
            event = StudyEvent.GAVE_UP if self._is_exhausted(row) else StudyEvent.RETRY
            delay = self._policy.delay(row.tries, self._randomness) if backs_off else None
            columns: Columns = {
                "available_at": now + delay if delay else now,
                "reason": reason,
                "changed_at": now,
                "holder": None,
                "lease_expires_at": None,
            }
            for name, value in (columns | self._columns_after(session, row_id, event, now)).items():
                setattr(row, name, value)
            if study is not None:
                self._move_study(session, row_id, study, event, now, reason)
            state, its_study = str(row.state), _id_of(study)
        log.warning(
            "work_rescued", kind=str(self.kind), job_id=row_id, state=state, reason=reason, **its_study
        )
        return True

    @contextmanager
    def _changing(self, row_id: int) -> Iterator[tuple[Session, Study | None, datetime]]:
        """Open the transaction that changes a row, and lock its study first."""
        with self._database.write() as session:
            yield session, self._lock_study(session, row_id), self._clock.now()


def _id_of(study: Study | None) -> dict[str, int]:
    return {} if study is None else {"study_id": study.id}
