"""Role receive: images arrive, studies become complete, and expired images are removed."""

from __future__ import annotations

import threading

import structlog

from echo_node.roles.open_storage import owned_storage
from echo_node.roles.workers import COMPLETION_EVERY_S, LEFTOVERS_EVERY_S, maintained
from echo_node.settings import Settings

log = structlog.get_logger()

_RETENTION_EVERY_S = 60.0


def receive(settings: Settings, stop: threading.Event) -> None:
    """Listen until *stop* is set."""
    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.dicom.scp.provider import StorageProvider
    from echo_node.pipeline.complete import CompletionSweep
    from echo_node.pipeline.maintenance import Sweep
    from echo_node.pipeline.receive import Intake

    configure_libraries()
    with owned_storage(settings, stop) as storage:
        intake = Intake(storage.spool, storage.studies)
        provider = StorageProvider(
            settings.node,
            settings.intake,
            settings.peers,
            intake,
            storage.take_report if settings.committing or settings.archive else None,
            storage.commitment_requests if settings.archive else None,
        )
        completion = (Sweep("completion", CompletionSweep(storage.studies), COMPLETION_EVERY_S),)
        # In their own thread: with many objects, or a remote store, these take long.
        keeping = (
            Sweep("leftovers", storage.orphans.sweep, LEFTOVERS_EVERY_S),
            Sweep("retention", storage.retention, _RETENTION_EVERY_S),
        )
        port = provider.start()
        try:
            with maintained(completion), maintained(keeping):
                log.info("role_ready", port=port)
                stop.wait()
        finally:
            provider.stop()
