"""Role web: the operator's page, health and metrics. It only reads."""

from __future__ import annotations

import threading

import structlog

from echo_node.roles.open_storage import open_storage_of
from echo_node.settings import Settings

log = structlog.get_logger()


def web(settings: Settings, stop: threading.Event) -> None:
    """Serve until *stop* is set."""
    from echo_node.web.server import serve

    with open_storage_of(settings) as storage:
        serve(
            settings.web,
            storage.queries,
            stop,
            on_ready=lambda port: log.info("role_ready", port=port),
        )
