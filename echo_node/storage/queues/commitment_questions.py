"""Questions of storage commitment: commitments, and those for modalities' requests.

    pending → asking (a worker has it) → asked (the peer accepted it) → answered: see the two queues

An answer may come on the same association, before the worker has recorded that it asked, or an hour
later on another association. The process that receives it records it. If a peer does not answer in
time, the node asks again under a new Transaction UID, and an answer to an earlier question no
longer counts.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from echo_node.domain.work.commitment import (
    CommitmentJob,
    CommitmentReport,
    CommitmentRequestState,
    CommitmentState,
    ReferencedInstance,
)
from echo_node.errors import LeaseLost
from echo_node.storage.database.claims import lease_of
from echo_node.storage.database.tables import CommitmentQuestion
from echo_node.storage.queues.work_queue import QueueContext, SqlWorkQueue

QuestionRow = TypeVar("QuestionRow", bound=CommitmentQuestion)


@dataclass(frozen=True, slots=True)
class Peers:
    """Peers that the node asks.

    Attributes:
        ae_titles: their AE titles, by configured name.
        patience_s: time that a peer has to answer, in seconds; then the node asks again.
        new_uid: source of Transaction UIDs.
    """

    ae_titles: Mapping[str, str]
    patience_s: float
    new_uid: Callable[[], str]

    def named(self, ae_title: str) -> list[str]:
        """Return the configured names of the peers that have an AE title."""
        return [name for name, known in self.ae_titles.items() if known == ae_title]


class QuestionQueue(SqlWorkQueue[QuestionRow, CommitmentJob]):
    """Questions that the node asks until answered. Implements the CommitmentLedger port too.

    Attributes:
        states: states of a question.

    Args:
        context: surroundings of the queue.
        peers: peers that are asked.
    """

    states: ClassVar[type[CommitmentState] | type[CommitmentRequestState]]

    def __init__(self, context: QueueContext, peers: Peers) -> None:
        super().__init__(context)
        self._peers = peers

    def asked(self, job: CommitmentJob) -> None:
        """Record that the peer accepted the question; its answer may have come before."""
        now = self._clock.now()
        deadline = now + timedelta(seconds=self._peers.patience_s)
        try:
            with self._database.write() as session:
                self.claims.end(session, job.lease, now, state=self.states.ASKED, available_at=deadline)
        except LeaseLost:
            is_it = self.table.id == job.lease.row_id
            with self._database.read() as session:
                if session.scalar(select(self.table.id).where(is_it, self._is_open)):
                    raise

    def rescue(self) -> int:
        """Reclaim questions of lost workers, and unanswered ones; return their number."""
        unanswered = select(self.table).where(
            self.table.state == self.states.ASKED, self.table.available_at <= self._clock.now()
        )
        reason = "the peer accepted the question and did not answer"
        return super().rescue() + self._rescue(unanswered, reason, backs_off=True)

    def _claimed(self, session: Session, row: QuestionRow, now: datetime) -> CommitmentJob:
        row.transaction_uid = transaction_uid = self._peers.new_uid()
        destination, instances = self._question(session, row)
        return CommitmentJob(lease_of(row), destination, transaction_uid, instances)

    @abstractmethod
    def report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record a peer's answer; return whether this peer had an open question."""

    @property
    def _is_open(self) -> ColumnElement[bool]:
        """Condition that a question waits for its answer."""
        condition: ColumnElement[bool] = self.table.state.in_((self.states.ASKING, self.states.ASKED))
        return condition

    def _is_asked(self, transaction_uid: str) -> ColumnElement[bool]:
        """Return the condition that the question of this Transaction UID waits for its answer."""
        return (self.table.transaction_uid == transaction_uid) & self._is_open

    @abstractmethod
    def _question(self, session: Session, row: QuestionRow) -> tuple[str, tuple[ReferencedInstance, ...]]:
        """Return the peer to ask, and the instances to ask about."""
