"""Deliver: drafts go to their destinations, are answered for, and are withdrawn."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from echo_node.processes import ProcessIdentity
from echo_node.roles.open_storage import owned_storage
from echo_node.roles.workers import identity_of, maintained, rescue_pause_s, work
from echo_node.settings import DocumentKind, Settings

log = structlog.get_logger()

_CREATE_MISSING_EVERY_S = 30.0
_ANSWERERS = 4
"""How many modalities may be told at once; one that does not answer holds up one worker."""


def deliver(settings: Settings, stop: threading.Event) -> None:
    """Send until *stop* is set."""
    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.dicom.selection.headers import describe
    from echo_node.domain.work.kinds import SENDING
    from echo_node.pipeline.deliver import DeliverStage
    from echo_node.pipeline.form import FormStage
    from echo_node.pipeline.maintenance import Sweep
    from echo_node.wiring.destinations import encoder, senders

    configure_libraries()
    delivery = settings.delivery
    to = senders(settings)
    with owned_storage(settings, stop) as storage, identity_of(settings) as identity:
        make_form = FormStage(storage.forms, lambda kind: encoder(DocumentKind(kind), settings), describe)
        # A worker for each destination: one that is dead or slow does not hold up the others.
        workers = [
            _sender(
                "delivery",
                queue,
                DeliverStage(queue, to[name], make_form),
                settings,
                identity,
                storage.waiter(SENDING.topic),
            )
            for name, queue in ((name, storage.deliveries_to(name)) for name in delivery.destinations)
        ]
        workers += _askers(settings, storage, identity) + _answerers(settings, storage, identity)
        workers.append(_withdrawer(settings, storage, identity))
        queues_in_hand = {
            "deliveries": storage.deliveries,
            "commitments": storage.commitments,
            "commitment requests": storage.commitment_requests,
            "answers": storage.answers,
            "withdrawals": storage.withdrawals,
        }
        if identity.is_only:
            for queue in queues_in_hand.values():
                queue.reclaim_from(identity.family)
        pause_s = rescue_pause_s(delivery.lease_s)
        sweeps = (
            *(Sweep(f"rescue of {name}", each.rescue, pause_s) for name, each in queues_in_hand.items()),
            Sweep(
                "missing deliveries",
                lambda: storage.deliveries.create_missing(settings.documents_by_destination),
                _CREATE_MISSING_EVERY_S,
            ),
        )
        with maintained(sweeps):
            log.info("role_ready", count=len(workers))
            work(workers, stop)


def _askers(settings: Settings, storage: Any, identity: ProcessIdentity) -> list[Any]:
    """Return the workers that ask for storage commitment: destinations, and the archive for modalities."""
    from echo_node.dicom.scu.storage_commitment import CommitmentUser
    from echo_node.domain.work.kinds import ASKING, ASKING_ARCHIVE
    from echo_node.pipeline.commit import CommitStage

    user = CommitmentUser(settings.node.ae_title, settings.peers, settings.delivery.timeout_s)

    def asker(kind: str, queue: Any, ae_titles: Mapping[str, str], topic: str) -> Any:
        stage = CommitStage(queue, user, ae_titles)
        return _sender(kind, queue, stage, settings, identity, storage.waiter(topic))

    askers = [
        asker("commitment", storage.commitments_of(name), settings.committing, ASKING.topic)
        for name in settings.committing
    ]
    return askers + [
        asker("commitment-request", storage.commitment_requests, settings.archive, ASKING_ARCHIVE.topic)
        for _ in settings.archive
    ]


def _answerers(settings: Settings, storage: Any, identity: ProcessIdentity) -> list[Any]:
    """Return the workers that tell modalities what the archive has committed to."""
    from echo_node.dicom.scu.storage_commitment import Answerer
    from echo_node.domain.work.kinds import ANSWERING
    from echo_node.pipeline.answer import AnswerStage

    stage = AnswerStage(storage.answers, Answerer(settings.peers, settings.delivery.timeout_s))
    return [
        _sender("answer", storage.answers, stage, settings, identity, storage.waiter(ANSWERING.topic))
        for _ in range(_ANSWERERS if settings.archive else 0)
    ]


def _withdrawer(settings: Settings, storage: Any, identity: ProcessIdentity) -> Any:
    """Return the worker that makes the notes of withdrawals; senders deliver them."""
    from echo_node.domain.work.kinds import MAKING_NOTES
    from echo_node.pipeline.withdraw import WithdrawStage
    from echo_node.wiring.destinations import note_encoders

    stage = WithdrawStage(storage.withdrawals, *note_encoders())
    return _sender(
        "withdrawal", storage.withdrawals, stage, settings, identity, storage.waiter(MAKING_NOTES.topic)
    )


def _sender(
    kind: str, queue: Any, stage: Callable[[Any], None], settings: Settings, own: ProcessIdentity, waiter: Any
) -> Any:
    """Return a worker of the way out, by the settings of delivery."""
    from echo_node.pipeline.worker import Worker
    from echo_node.storage.open import SystemClock, retry_policy

    delivery = settings.delivery
    return Worker(
        kind,
        queue,
        stage,
        retry_policy(delivery),
        holder=own.holder,
        heartbeat_s=delivery.lease_s / 4,
        poll_s=settings.queue.poll_s,
        clock=SystemClock(),
        randomness=random.Random(),  # noqa: S311 - jitter
        wait=waiter.wait,
    )
