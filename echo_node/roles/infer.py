"""Role infer: complete studies become drafts. The only role that loads a model."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from echo_node.errors import ConfigError, EchoNodeError
from echo_node.roles.open_storage import owned_storage
from echo_node.roles.workers import (
    COMPLETION_EVERY_S,
    LEFTOVERS_EVERY_S,
    identity_of,
    maintained,
    rescue_pause_s,
    run_workers,
    worker_of,
)
from echo_node.settings import DeliverySettings, ModelSettings, Settings

if TYPE_CHECKING:
    from echo_node.domain.ports import Clock, ConflictFinder
    from echo_node.inference.generator import EchoGenerator
    from echo_node.pipeline.priors import PriorSearch
    from echo_node.wiring.images import ChestImages

log = structlog.get_logger()


def infer(settings: Settings, stop: threading.Event) -> None:
    """Draft until *stop* is set.

    Raises:
        ConfigError: the model cannot be loaded.
    """
    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.domain.work.kinds import DRAFTING
    from echo_node.pipeline.complete import CompletionSweep
    from echo_node.pipeline.draft import DraftStage
    from echo_node.pipeline.maintenance import Sweep
    from echo_node.wiring.destinations import encoders
    from echo_node.wiring.images import chest_images

    configure_libraries()
    queue_settings = settings.queue
    forms = encoders(settings)
    images = chest_images(settings.selection, settings.peers.values(), settings.character_set_of)
    generator = _load_generator(settings.model)
    with owned_storage(settings, stop) as storage, identity_of(settings) as identity:
        clock = storage.drafting.clock
        stage = DraftStage(
            storage.drafts,
            images.selector,
            images.reader(generator.greyscale),
            generator,
            forms,
            clock,
            _identity_check(settings.delivery, images),
            _prior_search(settings, clock),
        )
        worker = worker_of(
            "draft",
            storage.jobs,
            stage,
            storage.drafting,
            storage.waiter(DRAFTING.topic),
            holder=identity.holder,
            heartbeat_s=queue_settings.heartbeat_s,
            poll_s=queue_settings.poll_s,
            skip=storage.jobs.skip,
        )
        if identity.is_only:
            storage.jobs.reclaim_from(identity.family, identity.siblings)
        sweeps = (
            Sweep("completion", CompletionSweep(storage.studies), COMPLETION_EVERY_S),
            Sweep("rescue", storage.jobs.rescue, rescue_pause_s(queue_settings.lease_s)),
            Sweep("half-written drafts", storage.orphans.clear_half_written, LEFTOVERS_EVERY_S),
        )
        with maintained(sweeps):
            model = generator.model
            log.info("role_ready", model=model.name, version=model.version)
            run_workers([worker], stop)


def _identity_check(delivery: DeliverySettings, images: ChestImages) -> ConflictFinder | None:
    """Return the check that withdraws contradicted drafts; None if the settings turn it off."""
    if delivery.withdraw_on == "never":
        return None
    return images.identity_check(orders=delivery.withdraw_on == "patient-or-order")


def _prior_search(settings: Settings, clock: Clock) -> PriorSearch | None:
    from echo_node.dicom.priors import prior_finder
    from echo_node.pipeline.priors import PriorSearch

    finder = prior_finder(settings.priors, settings.peers, settings.node.ae_title)
    return PriorSearch(finder, clock, settings.priors.time_limit_s) if finder else None


def _load_generator(model: ModelSettings) -> EchoGenerator:
    log.info("model_loading", model=model.name)
    try:
        from echo_node.inference.generator import load_generator

        return load_generator(model)
    except EchoNodeError as error:
        raise ConfigError(f"the model '{model.name}' cannot be loaded: {error}") from error
