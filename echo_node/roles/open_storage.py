"""Storage of a role: its schema is current, and its object store belongs to its database.

An object store belongs to one database (storage/objects/ownership.py). A role does not start if the
store belongs to another database, and stops if it loses the store.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from echo_node.errors import ConfigError, TransientError
from echo_node.roles.workers import maintained
from echo_node.settings import Settings

if TYPE_CHECKING:
    from echo_node.storage.open import Storage

log = structlog.get_logger()

_STORAGE_PAUSE_S = 2.0
_OWNERSHIP_EVERY_S = 60.0
"""Interval between checks that the object store still belongs to the database, in seconds."""


@contextmanager
def open_storage_of(settings: Settings) -> Iterator[Storage]:
    """Open storage with the schema that this program needs."""
    from echo_node.wiring.storage import open_storage

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
def owned_storage(settings: Settings, stop: threading.Event) -> Iterator[Storage]:
    """Open storage that owns its object store; set *stop* if another database takes it over.

    Raises:
        ConfigError: the store belongs to another database, or was taken over by one.
    """
    from echo_node.pipeline.maintenance import Sweep

    lost: list[ConfigError] = []
    with open_storage_of(settings) as storage:

        def check() -> None:
            try:
                storage.ownership.claim()
            except ConfigError as error:
                log.critical("store_lost", reason=str(error))
                lost.append(error)
                stop.set()

        with maintained((Sweep("ownership", check, _OWNERSHIP_EVERY_S),)):
            yield storage
    if lost:
        raise lost[0]


def claim_storage(settings: Settings, stop: threading.Event) -> None:
    """Claim the object store for its database. While either is unreachable, wait.

    Raises:
        ConfigError: the store belongs to another database.
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
