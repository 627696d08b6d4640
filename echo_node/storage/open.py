"""One door to storage: opened with the settings, it hands out the ledgers, the queues and the queries."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy import select

from echo_node.domain.ports import Clock
from echo_node.domain.work.commitment import CommitmentReport
from echo_node.domain.work.job import RetryPolicy
from echo_node.domain.work.kinds import WorkKind
from echo_node.errors import ConfigError
from echo_node.settings import DeliverySettings, QueueSettings, Settings
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import PollingWaiter, Waiter
from echo_node.storage.database.tables import Conflict, Document, Instance
from echo_node.storage.ledgers.drafts import Drafts
from echo_node.storage.ledgers.forms import Forms
from echo_node.storage.ledgers.studies import Studies
from echo_node.storage.objects.local import LocalObjects
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.objects.ownership import Ownership
from echo_node.storage.objects.spool import Spool
from echo_node.storage.objects.store import SPOOL, ObjectStore, area_of
from echo_node.storage.operations.export import Archive
from echo_node.storage.operations.queries import Queries
from echo_node.storage.operations.retention import Retention
from echo_node.storage.queues.commitment_questions import Peers
from echo_node.storage.queues.commitment_requests import AnswerQueue, CommitmentRequestQueue
from echo_node.storage.queues.commitments import CommitmentQueue
from echo_node.storage.queues.deliveries import DeliveryQueue
from echo_node.storage.queues.jobs import JobQueue
from echo_node.storage.queues.pauses import Pauses
from echo_node.storage.queues.withdrawals import WithdrawalQueue
from echo_node.storage.queues.work_queue import QueueContext

log = structlog.get_logger()

_ORPHAN_AGE_S = 3600.0
_CHUNK = 500


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)


class Storage:
    """Everything durable, open. Use it as a context manager, or call `close`."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        node, intake = settings.node, settings.intake
        self._settings = settings
        self._clock = clock
        self._waiters: list[Waiter] = []
        self.database = Database(settings.database_url, node.data_dir.absolute() / "run" / "notifications")
        self.objects = open_objects(settings)
        self.ownership = Ownership(self.database, self.objects)
        self.spool = Spool(self.objects, intake.minimum_free_bytes)
        self.outbox = Outbox(self.objects)
        idle = {
            peer.ae_title: peer.study_idle_s
            for peer in settings.peers.values()
            if peer.study_idle_s is not None
        }
        self.studies = Studies(
            self.database,
            clock,
            idle_s=lambda calling: idle.get(calling, intake.study_idle_s),
            forced_s=intake.study_forced_s,
            is_urgent={peer.ae_title for peer in settings.peers.values() if peer.urgent}.__contains__,
        )
        self.drafting = _context(self.database, clock, settings.queue)
        self.sending = _context(self.database, clock, settings.delivery)
        self.jobs = JobQueue(self.drafting, settings.queue.worker_losses)
        self.pauses = Pauses(self.database, clock)
        self.deliveries = self.deliveries_to(None)
        self.commitments = self.commitments_of(None)
        self.commitment_requests = CommitmentRequestQueue(self.sending, self._peers(settings.archive))
        self.answers = AnswerQueue(self.sending, settings.archive)
        self.drafts = Drafts(
            self.database,
            self.objects,
            self.outbox,
            clock,
            self.jobs.claims,
            destinations=settings.documents_by_destination,
        )
        self.forms = Forms(self.database, self.objects, self.outbox)
        self.withdrawals = WithdrawalQueue(self.sending, self.outbox)
        outgoing = (self.deliveries, self.commitments, self.answers, self.withdrawals)
        self.releasing = {queue.kind.name: queue.release for queue in (self.jobs, *outgoing)}
        self.queries = Queries(self.database)
        self.archive = Archive(self.database, self.objects)
        self.retention = Retention(
            self.database, self.spool, clock, settings.retention, node.data_dir, self.ownership
        )

    def deliveries_to(self, destination: str | None) -> DeliveryQueue:
        """Return the queue of what goes to one destination, or of everything."""
        return DeliveryQueue(self.sending, self.outbox, destination, self._settings.committing)

    def commitments_of(self, destination: str | None) -> CommitmentQueue:
        """Return the queue of questions of storage commitment to one destination, or to all."""
        return CommitmentQueue(self.sending, self._peers(self._settings.committing), destination)

    def take_report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record what a peer says of whichever question to it is open; false if none is.

        Raises:
            TransientError: the database cannot take it now.
        """
        return self.commitments.report(report, calling_ae_title) or self.commitment_requests.report(
            report, calling_ae_title
        )

    def waiter(self, topic: str) -> Waiter:
        """Return the waiter of a worker, for the notifications of a topic."""
        waiter = PollingWaiter() if self.database.notifier is None else self.database.notifier.waiter(topic)
        self._waiters.append(waiter)
        return waiter

    def _peers(self, ae_titles: Mapping[str, str]) -> Peers:
        return Peers(ae_titles, self._settings.delivery.commitment_patience_s, random_uid)

    def upgrade(self) -> str:
        """Bring the schema to this program's version and return that."""
        return migrate.upgrade(self.database)

    def current(self) -> str | None:
        """Return the version of the database's schema; None before the first upgrade."""
        return migrate.current(self.database)

    def release(self, kind: WorkKind, row_id: int) -> None:
        """Let a dead letter be tried again.

        Raises:
            PermanentError: it is not a dead letter.
        """
        self.releasing[kind.name](row_id)

    def clear_leftovers(self, orphan_age_s: float = _ORPHAN_AGE_S) -> int:
        """Remove half-written files, and whole objects that no row came to refer to.

        Args:
            orphan_age_s: how old such an object must be: younger ones may be about to be recorded.

        Raises:
            ConfigError: the objects are another database's: none was removed.
            TransientError: database or object store cannot be reached.
        """
        removed = self.clear_half_written()
        owner = self.ownership.claim()
        return removed + self.remove_orphans(orphan_age_s, owner.spared_before)

    def remove_orphans(self, age_s: float = _ORPHAN_AGE_S, not_before: float | None = None) -> int:
        """Remove objects that no row refers to; return how many there were.

        Args:
            age_s: how old they must be.
            not_before: leave those from before this moment of the store's clock.

        Raises:
            ConfigError: the objects are another database's.
            TransientError: database or object store cannot be reached.
        """
        removed = 0
        for chunk in self._orphans(age_s, not_before):
            self.ownership.claim()
            for path in chunk:
                (self.spool if area_of(path) == SPOOL else self.outbox).remove_orphan(path)
            removed += len(chunk)
        return removed

    def orphans(self, age_s: float = _ORPHAN_AGE_S) -> Iterator[str]:
        """Yield the names of the objects that no row refers to and that are so old.

        Raises:
            TransientError: database or object store cannot be reached.
        """
        for chunk in self._orphans(age_s, None):
            yield from chunk

    def _orphans(self, age_s: float, not_before: float | None) -> Iterator[list[str]]:
        old = self.objects.older_than(age_s, not_before)
        while chunk := list(islice(old, _CHUNK)):
            named = (
                select(Instance.path).where(Instance.path.in_(chunk), Instance.removed_at.is_(None)),
                select(Conflict.path).where(Conflict.path.in_(chunk)),
                select(Document.path).where(Document.path.in_(chunk)),
                select(Document.kept_path).where(Document.kept_path.in_(chunk)),
            )
            with self.database.read() as session:
                known = {path for query in named for path in session.scalars(query)}
            if unknown := sorted(set(chunk) - known):
                yield unknown

    def clear_half_written(self) -> int:
        """Remove what killed processes left half-written on this machine; return how many files that were."""
        removed = self.objects.clear_leftovers()
        if removed:
            log.info("leftovers_removed", kind="spool", count=removed)
        return removed

    def close(self) -> None:
        """Close the database's connections and whatever listens."""
        for waiter in self._waiters:
            waiter.close()
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_storage(settings: Settings, clock: Clock | None = None) -> Storage:
    """Open storage as configured; the schema is left as it is (see Storage.upgrade)."""
    return Storage(settings, clock or SystemClock())


def open_objects(settings: Settings) -> ObjectStore:
    """Return where images and drafts are kept, as configured.

    Raises:
        ConfigError: a package for that is not installed.
    """
    storage, data_dir = settings.storage, settings.node.data_dir
    if not storage.is_remote:
        return LocalObjects(storage.folder or data_dir)
    try:
        from echo_node.storage.objects.remote import open_remote
    except ModuleNotFoundError as error:
        raise ConfigError("storage.url needs fsspec and s3fs: install echo-node[s3]") from error
    return open_remote(storage, data_dir, settings.intake.minimum_free_bytes)


def random_uid() -> str:
    """Return a UID that nothing else has (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def _context(database: Database, clock: Clock, section: QueueSettings | DeliverySettings) -> QueueContext:
    randomness = random.Random()  # noqa: S311 - jitter
    return QueueContext(database, clock, retry_policy(section), section.lease_s, randomness)


def retry_policy(section: QueueSettings | DeliverySettings) -> RetryPolicy:
    """Return the policy that a section of the settings describes."""
    return RetryPolicy(section.attempts, section.first_delay_s, section.longest_delay_s)
