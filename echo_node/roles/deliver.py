"""Role deliver: sends and withdraws drafts, and handles storage commitment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from echo_node.processes import ProcessIdentity
from echo_node.roles.open_storage import owned_storage
from echo_node.roles.workers import (
    RecoverableQueue,
    RunningWorker,
    identity_of,
    maintained,
    rescue_pause_s,
    run_workers,
    worker_of,
)
from echo_node.settings import DocumentKind, Settings

if TYPE_CHECKING:
    from echo_node.domain.ports import Work, WorkQueue
    from echo_node.domain.work.kinds import Step
    from echo_node.storage.open import Storage
    from echo_node.storage.queues.commitment_questions import QuestionQueue, QuestionRow

log = structlog.get_logger()

_CREATE_MISSING_EVERY_S = 30.0
_ANSWERERS = 4
"""Number of modalities that are answered at the same time; a slow modality occupies one worker."""


def deliver(settings: Settings, stop: threading.Event) -> None:
    """Send until *stop* is set."""
    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.pipeline.maintenance import Sweep

    configure_libraries()
    with owned_storage(settings, stop) as storage, identity_of(settings) as identity:
        outgoing = _Outgoing(settings, storage, identity)
        workers = [
            *outgoing.senders(),
            *outgoing.askers(),
            *outgoing.answerers(),
            outgoing.withdrawer(),
        ]
        queues: dict[str, RecoverableQueue] = {
            "deliveries": storage.deliveries,
            "commitments": storage.commitments,
            "commitment requests": storage.commitment_requests,
            "answers": storage.answers,
            "withdrawals": storage.withdrawals,
        }
        if identity.is_only:
            for queue in queues.values():
                queue.reclaim_from(identity.family)
        pause_s = rescue_pause_s(settings.delivery.lease_s)
        sweeps = (
            *(Sweep(f"rescue of {name}", queue.rescue, pause_s) for name, queue in queues.items()),
            Sweep(
                "missing deliveries",
                lambda: storage.deliveries.create_missing(settings.documents_by_destination),
                _CREATE_MISSING_EVERY_S,
            ),
        )
        with maintained(sweeps):
            log.info("role_ready", count=len(workers))
            run_workers(workers, stop)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """Workers of the role, by the settings of delivery."""

    settings: Settings
    storage: Storage
    identity: ProcessIdentity

    def senders(self) -> list[RunningWorker]:
        """Return a worker for each destination: a slow or dead one does not hold up the others."""
        from echo_node.dicom.selection.headers import StudyHeaders
        from echo_node.domain.work.kinds import SENDING
        from echo_node.pipeline.deliver import DeliverStage
        from echo_node.pipeline.make_form import FormStage
        from echo_node.wiring.destinations import encoder, senders

        settings, storage = self.settings, self.storage
        headers = StudyHeaders(settings.character_set_of)
        make_form = FormStage(
            storage.forms, lambda kind: encoder(DocumentKind(kind), settings), headers.describe
        )
        workers: list[RunningWorker] = []
        for name, sender in senders(settings).items():
            queue = storage.deliveries_to(name)
            workers.append(self._worker("delivery", queue, DeliverStage(queue, sender, make_form), SENDING))
        return workers

    def askers(self) -> list[RunningWorker]:
        """Return the workers that ask destinations, and the archive, for storage commitment."""
        from echo_node.domain.work.kinds import ASKING, ASKING_ARCHIVE

        settings, storage = self.settings, self.storage
        askers = [
            self._asker("commitment", storage.commitments_of(name), settings.committing, ASKING)
            for name in settings.committing
        ]
        requests = storage.commitment_requests
        return askers + [
            self._asker("commitment-request", requests, settings.archive, ASKING_ARCHIVE)
            for _ in settings.archive
        ]

    def answerers(self) -> list[RunningWorker]:
        """Return the workers that tell modalities what the archive has committed to."""
        from echo_node.dicom.scu.storage_commitment import Answerer
        from echo_node.domain.work.kinds import ANSWERING
        from echo_node.pipeline.answer_commitment import AnswerStage

        answers = self.storage.answers
        stage = AnswerStage(answers, Answerer(self.settings.peers, self.settings.delivery.timeout_s))
        return [
            self._worker("answer", answers, stage, ANSWERING)
            for _ in range(_ANSWERERS if self.settings.archive else 0)
        ]

    def withdrawer(self) -> RunningWorker:
        """Return the worker that makes the notes of withdrawals; senders deliver them."""
        from echo_node.domain.work.kinds import MAKING_NOTES
        from echo_node.pipeline.withdraw import WithdrawStage
        from echo_node.wiring.destinations import note_encoders

        withdrawals = self.storage.withdrawals
        stage = WithdrawStage(withdrawals, *note_encoders())
        return self._worker("withdrawal", withdrawals, stage, MAKING_NOTES)

    def _asker(
        self, kind: str, queue: QuestionQueue[QuestionRow], ae_titles: Mapping[str, str], step: Step
    ) -> RunningWorker:
        from echo_node.dicom.scu.storage_commitment import CommitmentUser
        from echo_node.pipeline.request_commitment import CommitStage

        settings = self.settings
        user = CommitmentUser(settings.node.ae_title, settings.peers, settings.delivery.timeout_s)
        return self._worker(kind, queue, CommitStage(queue, user, ae_titles), step)

    def _worker(
        self, kind: str, queue: WorkQueue[Work], stage: Callable[[Work], None], step: Step
    ) -> RunningWorker:
        return worker_of(
            kind,
            queue,
            stage,
            self.storage.sending,
            self.storage.waiter(step.topic),
            holder=self.identity.holder,
            heartbeat_s=self.settings.delivery.lease_s / 4,
            poll_s=self.settings.queue.poll_s,
        )
