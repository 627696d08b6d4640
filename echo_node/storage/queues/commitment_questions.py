"""Questions of storage commitment, as both queues have them: commitments (ours) and promises (modalities').

    pending → asking (a worker has it) → asked (the peer took the question) → answered: see the queues

An answer may come on the same association, before the worker has recorded that it asked, or an hour later
on another one: it is recorded by whoever receives it. A peer that does not answer in time is asked again
under a new Transaction UID, and an answer to an earlier one does not count any more.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import ClassVar, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from echo_node.domain.ports import Clock
from echo_node.domain.work.commitment import CommitmentJob, CommitmentState, PromiseState, ReferencedInstance
from echo_node.domain.work.job import RetryPolicy, WorkKind
from echo_node.errors import LeaseLost
from echo_node.storage.database.claims import Claims, lease_of
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import Asked
from echo_node.storage.queues.work_queue import RowQueue

Question = TypeVar("Question", bound=Asked)


class Asking(RowQueue[Question]):
    """Questions that are asked, and asked again until they are answered.

    Attributes:
        table: of the questions.
        states: theirs.
        kind: what they are, for logs and messages.
        topic: topic notified for them.

    Args:
        database: where rows are kept.
        clock: the time.
        policy: when a question is given up.
        lease_s: how long a claim lasts unless it is renewed.
        patience_s: how long a peer may take to answer before it is asked again.
        ae_titles: of the peers that are asked, by name.
        new_uid: makes Transaction UIDs.
        randomness: for jitter.
    """

    table: type[Question]
    states: ClassVar[type[CommitmentState] | type[PromiseState]]
    kind: ClassVar[WorkKind]
    topic: ClassVar[str]

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
    ) -> None:
        super().__init__(
            database,
            clock,
            policy,
            Claims(self.table, self.states.PENDING, self.states.ASKING, lease_s),
            dead=self.states.DEAD,
            kind=self.kind,
            topic=self.topic,
            randomness=randomness,
        )
        self._patience = timedelta(seconds=patience_s)
        self._ae_titles = ae_titles
        self._new_uid = new_uid

    def claim(self, holder: str) -> CommitmentJob | None:
        """Take the question that has waited longest, and give it a Transaction UID."""
        with self._claimed(holder) as claimed:
            if claimed is None:
                return None
            session, row = claimed
            row.transaction_uid = transaction_uid = self._new_uid()
            destination, instances = self._question(session, row)
            return CommitmentJob(lease_of(row), destination, transaction_uid, instances)

    def asked(self, job: CommitmentJob) -> None:
        """Record that the peer took the question; its answer may have come before."""
        now = self._clock.now()
        try:
            self._end(job.lease, state=self.states.ASKED, available_at=now + self._patience)
        except LeaseLost:
            is_it = self.table.id == job.lease.row_id
            with self._database.read() as session:
                if session.scalar(select(self.table.id).where(is_it, self._is_open)):
                    raise

    def rescue(self) -> int:
        """Free the questions of workers that were lost, and those that nobody answered; return how many."""
        now = self._clock.now()
        unanswered = select(self.table).where(
            self.table.state == self.states.ASKED, self.table.available_at <= now
        )
        reason = "the question was taken and not answered"
        return super().rescue() + self._put_back(unanswered, reason, now, later=True)

    @property
    def _is_open(self) -> ColumnElement[bool]:
        """The condition that a question waits for its answer."""
        condition: ColumnElement[bool] = self.table.state.in_((self.states.ASKING, self.states.ASKED))
        return condition

    def _is_asked(self, transaction_uid: str) -> ColumnElement[bool]:
        """Return the condition that this question waits for its answer."""
        return (self.table.transaction_uid == transaction_uid) & self._is_open

    def _named(self, ae_title: str) -> list[str]:
        """Return the peers of this AE title that are asked."""
        return [name for name, known in self._ae_titles.items() if known == ae_title]

    def _question(self, session: Session, row: Question) -> tuple[str, tuple[ReferencedInstance, ...]]:
        """Return whom to ask, and about what."""
        raise NotImplementedError
