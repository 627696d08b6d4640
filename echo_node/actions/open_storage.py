"""Opening of an existing node's storage. A missing database is an error and is never created."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from echo_node.config.values import mask_url
from echo_node.errors import ConfigError
from echo_node.settings import Settings

if TYPE_CHECKING:
    from echo_node.storage.open import Storage

_SQLITE = "sqlite:///"


def is_absent(settings: Settings) -> bool:
    """Return whether the database is a file that does not exist; opening it would create it."""
    url = settings.database_url
    return url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).is_file()


@contextmanager
def existing_storage(settings: Settings) -> Iterator[Storage]:
    """Open the storage of a node that has run before.

    Raises:
        ConfigError: the database does not exist, or its schema has another version.
        TransientError: the database is unreachable.
    """
    url = settings.database_url
    if is_absent(settings):
        raise ConfigError(
            f"there is no database {url.removeprefix(_SQLITE)}: `echo-node serve` creates it; "
            "a node that runs with --data-dir, --config or --database-url needs the same flags here"
        )
    from echo_node.storage.database import migrate
    from echo_node.wiring.storage import open_storage

    with open_storage(settings) as storage:
        if not migrate.is_usable(storage.database):
            here = storage.current() or "none"
            raise ConfigError(
                f"the database {mask_url(url)} is at version {here}, but this program needs "
                f"{migrate.latest()}: run `echo-node db upgrade` with the same flags, "
                "or the program version that matches the database"
            )
        yield storage
