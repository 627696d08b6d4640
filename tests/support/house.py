"""The durable path without DICOM and without a model: ledgers and queues over one database."""

import random
from collections.abc import Collection, Mapping
from pathlib import Path

from sqlalchemy import select
from support.studies import (
    MODEL,
    Notes,
    SentInstance,
    SetClock,
    digest,
    document,
    received,
    selection,
    stored_file,
)

from echo_node.domain.studies.identity import OnConflict
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.work.drafting import NewDraft
from echo_node.domain.work.job import DeliveryJob, DraftJob
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.retry import RetryPolicy
from echo_node.pipeline.withdraw import WithdrawStage
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import Study
from echo_node.storage.ledgers.drafts import Drafts
from echo_node.storage.ledgers.forms import Forms
from echo_node.storage.ledgers.resolutions import Resolutions
from echo_node.storage.ledgers.studies import Studies
from echo_node.storage.objects.local import LocalObjects
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.objects.ownership import Ownership
from echo_node.storage.operations.queries import Queries
from echo_node.storage.queues.deliveries import DeliveryQueue
from echo_node.storage.queues.drafting_jobs import JobQueue
from echo_node.storage.queues.withdrawals import WithdrawalQueue
from echo_node.storage.queues.work_queue import QueueContext

POLICIES = {"REPLACES": OnConflict.REPLACE, "KEEPS": OnConflict.KEEP}
IDLE_S, FORCED_S, LEASE_S, TRIES = 60.0, 300.0, 100.0, 3


class House:
    """Everything between the network and the model; instances are recorded without files.

    Destinations that are given by name alone get the one kind that support.studies.document makes.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        destinations: tuple[str, ...] | Mapping[str, Collection[str]] = ("PACS",),
        urgent: tuple[str, ...] = (),
    ) -> None:
        self.database = database
        self.clock = SetClock()
        self.policy = RetryPolicy(TRIES, 10.0, 100.0)
        self.objects = LocalObjects(folder)
        self.ownership = Ownership(database, self.objects)
        self.outbox = Outbox(self.objects)
        self.studies = Studies(
            database,
            self.clock,
            debounce_s=lambda calling: 5.0 if calling == "HASTY" else IDLE_S,
            maximum_wait_s=FORCED_S,
            is_urgent=urgent.__contains__,
        )
        self.context = QueueContext(database, self.clock, self.policy, LEASE_S, random.Random(0))
        self.jobs = JobQueue(self.context)
        self.deliveries = DeliveryQueue(self.context, self.outbox)
        if not isinstance(destinations, Mapping):
            destinations = dict.fromkeys(destinations, ("basic-text-sr",))
        self.destinations = destinations
        self.resolutions = Resolutions(
            database,
            self.clock,
            self.studies.arrivals,
            lambda calling: POLICIES.get(calling, OnConflict.HOLD),
        )
        self.drafts = Drafts(
            database,
            self.objects,
            self.outbox,
            self.clock,
            self.jobs.claims,
            self.resolutions,
            destinations=destinations,
        )
        self.forms = Forms(database, self.objects, self.outbox)
        self.withdrawals = WithdrawalQueue(self.context, self.outbox)
        self.queries = Queries(database)

    def arrive(self, instance: SentInstance | None = None) -> StoreOutcome:
        """Offer an instance as pipeline/receive.py does."""
        instance = instance or received()
        if self.studies.note_resend(instance, digest(instance)):
            return StoreOutcome.DUPLICATE
        return self.studies.record(instance, stored_file(instance))

    def complete(self) -> None:
        self.clock.move(IDLE_S + 1)
        self.studies.complete_due()

    def claim(self, holder: str = "worker") -> DraftJob:
        job = self.jobs.claim(holder)
        assert job is not None
        return job

    def claim_delivery(self, holder: str = "sender") -> DeliveryJob:
        job = self.deliveries.claim(holder)
        assert job is not None
        return job

    def draft(self, job: DraftJob, *images: SentInstance) -> None:
        number = int(job.study_instance_uid.rpartition(".")[2])
        chosen = selection(*(images or (received(study=number),)))
        self.drafts.finish(job, NewDraft([document(number, job.revision)], chosen, MODEL))

    def notes(self) -> int:
        """Make the notes of every withdrawal that is due, in the words of support.studies.Notes."""
        stage, made = WithdrawStage(self.withdrawals, Notes(), Notes()), 0
        while (job := self.withdrawals.claim("withdrawer")) is not None:
            stage(job)
            made += 1
        return made

    def drafted(self) -> None:
        """Bring study 1 from nothing to drafted."""
        self.arrive()
        self.complete()
        self.draft(self.claim())

    def state(self, study: int = 1) -> StudyState:
        return self._study(study).state

    def revision(self, study: int = 1) -> int:
        return self._study(study).revision

    def reason(self, study: int = 1) -> str | None:
        return self._study(study).reason

    def _study(self, study: int) -> Study:
        with self.database.read() as session:
            row = session.scalars(select(Study).where(Study.study_instance_uid == f"1.2.3.{study}")).one()
            session.expunge(row)
            return row
