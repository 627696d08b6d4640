"""A node's storage, open for actions, with a house that works on the same database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.house import House

from echo_node.settings import NodeSettings, Settings
from echo_node.storage.database.engine import Database
from echo_node.storage.open import Storage
from echo_node.wiring.storage import open_storage


@dataclass(frozen=True, slots=True)
class StoredNode:
    """Storage that actions use, and the house that works beside them."""

    settings: Settings
    storage: Storage
    house: House


@contextmanager
def stored_node(folder: Path) -> Iterator[StoredNode]:
    """Yield a node with two destinations in *folder*; storage and house share a clock."""
    settings = Settings(node=NodeSettings(data_dir=folder))
    database = Database(settings.database_url)
    house = House(database, folder, destinations=("pacs", "viewer"))
    with open_storage(settings, house.clock) as storage:
        storage.upgrade()
        yield StoredNode(settings, storage, house)
    database.close()
