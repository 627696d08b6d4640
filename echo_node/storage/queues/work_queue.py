"""Queues of rows that stand alone: what becomes of a claim changes its row and nothing else.

Jobs and deliveries move their study with them, and have queues of their own; questions of storage commitment
and answers to modalities do not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Generic

import structlog
from sqlalchemy import Select
from sqlalchemy.orm import Session

from echo_node.domain.ports import Clock, Leased
from echo_node.domain.work.job import Lease, RetryPolicy, WorkKind
from echo_node.domain.work.pausable import Pausable
from echo_node.errors import PermanentError
from echo_node.storage.database.claims import Claims, Row
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import notify
from echo_node.storage.queues.pauses import is_paused

log = structlog.get_logger()


class RowQueue(Generic[Row]):
    """All of domain.ports.WorkQueue but `claim`, and what happens to rows that nobody works on any more.

    Args:
        database: where rows are kept.
        clock: the time.
        policy: when a row is given up, and how long it waits until then.
        claims: the claiming of its rows.
        dead: the state of dead letters.
        kind: what a row is, for logs and messages.
        topic: topic notified for rows that wait.
        randomness: for jitter.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        policy: RetryPolicy,
        claims: Claims[Row],
        *,
        dead: StrEnum,
        kind: WorkKind,
        topic: str,
        randomness: random.Random,
    ) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._dead = dead
        self._kind = kind
        self._topic = topic
        self._randomness = randomness
        self.claims = claims

    def renew(self, work: Leased) -> None:
        """Extend the lease."""
        with self._database.write() as session:
            self.claims.renew(session, work.lease, self._clock.now())

    def retry(self, work: Leased, reason: str, at: datetime) -> None:
        """Put the row back to be claimed again at *at*."""
        self._end(work.lease, state=self.claims.ready, available_at=at, reason=reason)

    def release_claim(self, work: Leased) -> None:
        """Return a row that nothing was done for, as if it had not been tried."""
        with self._database.write() as session:
            self.claims.put_back(session, work.lease, self._clock.now())

    def dead_letter(self, work: Leased, reason: str) -> None:
        """Give the row up."""
        now = self._clock.now()
        with self._database.write() as session:
            given_up = self._given_up(session, work.lease.row_id, now)
            self.claims.end(session, work.lease, now, reason=reason, **given_up)

    def skip(self, work: Leased, reason: str) -> None:
        """End the work; there is none here that is not needed, so that it is given up."""
        self.dead_letter(work, reason)

    def reclaim_from(self, holders: str) -> None:
        """Free at once what holders whose name begins so had claimed: the caller knows that they are dead."""
        with self._database.write() as session:
            self.claims.expire(session, holders, self._clock.now())
        self.rescue()

    def rescue(self) -> int:
        """Free the rows of workers that have not been heard of; return how many."""
        now = self._clock.now()
        return self._put_back(self.claims.expired(now), "its worker was lost", now)

    def release(self, row_id: int) -> None:
        """Let a dead letter be tried again from the beginning.

        Raises:
            PermanentError: it is not a dead letter.
        """
        with self._database.write() as session:
            released = self.claims.release(session, row_id, self._dead, self._clock.now())
            notify(session, self._topic)
        if not released:
            raise PermanentError(f"{self._kind} {row_id} is not a dead letter: there is nothing to retry")
        log.info("work_released", kind=self._kind, job_id=row_id)

    def _due(self, now: datetime) -> Select[int]:
        return self.claims.due(now)

    def _given_up(self, _session: Session, _row_id: int, _now: datetime) -> dict[str, object]:
        """Return what a row becomes that is given up."""
        return {"state": self._dead}

    @contextmanager
    def _claimed(self, holder: str) -> Iterator[tuple[Session, Row] | None]:
        """Open the transaction that claims the row that has waited longest, if one is due and none paused."""
        now = self._clock.now()
        due = self._due(now).where(~is_paused(Pausable.DELIVERY))
        with self._database.read() as session:
            is_there = session.scalar(due) is not None
        if not is_there:
            yield None
            return
        with self._database.write() as session:
            locked = due.with_for_update(of=self.claims.table, skip_locked=True)
            row = self.claims.claim(session, locked, now, holder)
            yield None if row is None else (session, row)

    def _put_back(self, query: Select[Row], reason: str, now: datetime, *, later: bool = False) -> int:
        """Let rows be claimed again, at once or after a back-off, or give them up; return how many."""
        with self._database.write() as session:
            rows = session.scalars(query.with_for_update(skip_locked=True)).all()
            for row in rows:
                changes: dict[str, object] = {"state": self.claims.ready, "available_at": now}
                if self._policy.is_exhausted(row.tries):
                    changes = self._given_up(session, row.id, now)
                elif later:
                    changes["available_at"] = now + self._policy.delay(row.tries, self._randomness)
                said = f"{reason} ({row.tries} tries)"
                changes |= {"reason": said, "changed_at": now, "holder": None, "lease_expires_at": None}
                for name, value in changes.items():
                    setattr(row, name, value)
            found = [(row.id, str(row.state), row.reason) for row in rows]
        for row_id, state, said_of_it in found:
            log.warning("work_rescued", kind=self._kind, job_id=row_id, state=state, reason=said_of_it)
        return len(found)

    def _end(self, lease: Lease, **values: object) -> None:
        with self._database.write() as session:
            self.claims.end(session, lease, self._clock.now(), **values)
