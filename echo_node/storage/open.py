"""Composition of storage: ledgers, queues and operations on a database and an object store."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from echo_node.domain.ports import Clock
from echo_node.domain.studies.identity import OnConflict
from echo_node.domain.work.commitment import CommitmentReport
from echo_node.domain.work.kinds import WorkKind
from echo_node.domain.work.retry import RetryPolicy
from echo_node.settings import (
    DeliverySettings,
    IntakeSettings,
    Peer,
    QueueSettings,
    RetentionSettings,
)
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import PollingWaiter, Waiter
from echo_node.storage.ledgers.drafts import Drafts
from echo_node.storage.ledgers.forms import Forms
from echo_node.storage.ledgers.resolutions import Resolutions
from echo_node.storage.ledgers.studies import Studies
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.objects.ownership import Ownership
from echo_node.storage.objects.spool import Spool
from echo_node.storage.objects.store import ObjectStore
from echo_node.storage.operations.export import Archive
from echo_node.storage.operations.orphans import Orphans
from echo_node.storage.operations.queries import Queries
from echo_node.storage.operations.retention import Retention
from echo_node.storage.queues.commitment_questions import Peers
from echo_node.storage.queues.commitment_requests import AnswerQueue, CommitmentRequestQueue
from echo_node.storage.queues.commitments import CommitmentQueue
from echo_node.storage.queues.deliveries import DeliveryQueue
from echo_node.storage.queues.drafting_jobs import JobQueue
from echo_node.storage.queues.pauses import Pauses
from echo_node.storage.queues.withdrawals import WithdrawalQueue
from echo_node.storage.queues.work_queue import QueueContext


@dataclass(frozen=True, slots=True)
class StoragePlan:
    """Sections of the settings that storage reads.

    Attributes:
        data_dir: data folder of this machine.
        intake: receiving of studies.
        queue: drafting jobs.
        delivery: outgoing work.
        retention: removal of images.
        peers: configured peers, by name.
        documents_by_destination: kinds of document that each destination receives.
        committing: AE titles of the destinations that must commit to documents, by name.
        archive: AE title of the archive that is asked for modalities, by name; empty if there is
            none.
        on_conflict: function from a calling AE title to its peer's `on_conflict`.
        subject_of: function from the file of an instance to its subject; empty if it cannot be
            read.
    """

    data_dir: Path
    intake: IntakeSettings
    queue: QueueSettings
    delivery: DeliverySettings
    retention: RetentionSettings
    peers: Mapping[str, Peer]
    documents_by_destination: Mapping[str, Collection[str]]
    committing: Mapping[str, str]
    archive: Mapping[str, str]
    on_conflict: Callable[[str], OnConflict]
    subject_of: Callable[[Path], str]


class Storage:
    """Open storage. Use it as a context manager, or call `close`.

    Args:
        database: database of the rows.
        objects: store of images and documents.
        plan: sections of the settings.
        clock: source of time.
        new_uid: source of UIDs.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        plan: StoragePlan,
        clock: Clock,
        new_uid: Callable[[], str],
    ) -> None:
        self._plan = plan
        self._new_uid = new_uid
        self._waiters: list[Waiter] = []
        self.database = database
        self.objects = objects
        self.ownership = Ownership(database, objects)
        self.spool = Spool(objects, plan.intake.minimum_free_bytes)
        self.outbox = Outbox(objects)
        self.studies = _studies(database, clock, plan, objects)
        self.drafting = _context(database, clock, plan.queue)
        self.sending = _context(database, clock, plan.delivery)
        self.jobs = JobQueue(self.drafting, plan.queue.worker_losses)
        self.pauses = Pauses(database, clock)
        self.deliveries = self.deliveries_to(None)
        self.commitments = self.commitments_of(None)
        self.commitment_requests = CommitmentRequestQueue(self.sending, self._peers(plan.archive))
        self.answers = AnswerQueue(self.sending, plan.archive)
        self.withdrawals = WithdrawalQueue(self.sending, self.outbox)
        self.resolutions = Resolutions(database, clock, self.studies.arrivals, plan.on_conflict)
        self.drafts = Drafts(
            database,
            objects,
            self.outbox,
            clock,
            self.jobs.claims,
            self.resolutions,
            destinations=plan.documents_by_destination,
        )
        self.forms = Forms(database, objects, self.outbox)
        self.queries = Queries(database)
        self.archive = Archive(database, objects)
        self.orphans = Orphans(database, objects, self.spool, self.outbox, self.ownership)
        self.retention = Retention(database, self.spool, clock, plan.retention, plan.data_dir, self.ownership)
        self.releasing = {
            queue.kind.name: queue.release
            for queue in (self.jobs, self.deliveries, self.commitments, self.answers, self.withdrawals)
        }

    def deliveries_to(self, destination: str | None) -> DeliveryQueue:
        """Return the queue of deliveries to one destination, or to all."""
        return DeliveryQueue(self.sending, self.outbox, destination, self._plan.committing)

    def commitments_of(self, destination: str | None) -> CommitmentQueue:
        """Return the queue of commitments of one destination, or of all."""
        return CommitmentQueue(self.sending, self._peers(self._plan.committing), destination)

    def take_report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record a peer's answer to an open question of either kind; return whether there was one.

        Raises:
            TransientError: the database cannot record it now.
        """
        return self.commitments.report(report, calling_ae_title) or self.commitment_requests.report(
            report, calling_ae_title
        )

    def waiter(self, topic: str) -> Waiter:
        """Return the waiter of a worker, for the notifications of a topic."""
        notifier = self.database.notifier
        waiter = PollingWaiter() if notifier is None else notifier.waiter(topic)
        self._waiters.append(waiter)
        return waiter

    def release(self, kind: WorkKind, row_id: int) -> None:
        """Release a dead letter.

        Raises:
            PermanentError: there is no such row, or it is not a dead letter.
        """
        self.releasing[kind.name](row_id)

    def upgrade(self) -> str:
        """Upgrade the schema to this program's version; return the version."""
        return migrate.upgrade(self.database)

    def current(self) -> str | None:
        """Return the version of the schema; None before the first upgrade."""
        return migrate.current(self.database)

    def close(self) -> None:
        """Close the waiters and the connections of the database."""
        for waiter in self._waiters:
            waiter.close()
        self.database.close()

    def _peers(self, ae_titles: Mapping[str, str]) -> Peers:
        return Peers(ae_titles, self._plan.delivery.commitment_patience_s, self._new_uid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _studies(database: Database, clock: Clock, plan: StoragePlan, objects: ObjectStore) -> Studies:
    def subject_of(path: str) -> str:
        with objects.local_paths([path]) as (local,):
            return plan.subject_of(local)

    peers = plan.peers.values()
    own = {peer.ae_title: peer.study_idle_s for peer in peers if peer.study_idle_s is not None}
    return Studies(
        database,
        clock,
        debounce_s=lambda calling: own.get(calling, plan.intake.study_idle_s),
        maximum_wait_s=plan.intake.study_forced_s,
        is_urgent={peer.ae_title for peer in peers if peer.urgent}.__contains__,
        subject_of=subject_of,
    )


def _context(database: Database, clock: Clock, section: QueueSettings | DeliverySettings) -> QueueContext:
    policy = RetryPolicy(section.attempts, section.first_delay_s, section.longest_delay_s)
    return QueueContext(database, clock, policy, section.lease_s, random.Random())  # noqa: S311 - jitter
