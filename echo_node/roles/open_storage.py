"""Storage as a role opens it: with the schema that this program needs, and its database's own.

An object store belongs to one database (storage/objects/ownership.py). A role does not start if the store
belongs to another database, and stops if it loses the store.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from echo_node.errors import ConfigError, TransientError
from echo_node.roles.workers import maintained
from echo_node.settings import Settings

log = structlog.get_logger()

_STORAGE_PAUSE_S = 2.0
_OWNERSHIP_EVERY_S = 60.0
"""How long a role goes on at most after another database has taken the images and drafts over."""


@contextmanager
def open_storage_of(settings: Settings) -> Iterator[Any]:
    """Open storage with the schema that this program needs."""
    from echo_node.storage import open_storage

    try:
        storage = open_storage(settings)
    except OSError as error:
        also = " and storage.url" if settings.storage.folder else ""
        raise ConfigError(
            f"the data folder cannot be used ({error.strerror}): set node.data_dir{also} to one that can"
        ) from error
    with storage:
        storage.upgrade()
        yield storage


@contextmanager
def owned_storage(settings: Settings, stop: threading.Event) -> Iterator[Any]:
    """Open storage whose images and drafts are this database's; set *stop* if they become another one's.

    Raises:
        ConfigError: they are another database's, or have become so.
    """
    from echo_node.pipeline.maintenance import Sweep

    lost: list[ConfigError] = []
    with open_storage_of(settings) as storage:

        def look() -> None:
            try:
                storage.ownership.claim()
            except ConfigError as error:
                log.critical("store_lost", reason=str(error))
                lost.append(error)
                stop.set()

        with maintained((Sweep("ownership", look, _OWNERSHIP_EVERY_S),)):
            yield storage
    if lost:
        raise lost[0]


def claim_storage(settings: Settings, stop: threading.Event) -> None:
    """Make sure that images and drafts are this database's; wait for it and for them if they are away.

    Raises:
        ConfigError: they are another database's.
    """
    while not stop.is_set():
        try:
            with open_storage_of(settings) as storage:
                storage.ownership.claim()
        except TransientError as error:
            log.warning("storage_unavailable", reason=str(error), delay_s=_STORAGE_PAUSE_S)
            stop.wait(_STORAGE_PAUSE_S)
        else:
            return
