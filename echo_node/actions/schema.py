"""Version of the database schema, and its upgrade to this program."""

from __future__ import annotations

from dataclasses import dataclass

from echo_node.actions.open_storage import is_absent
from echo_node.settings import Settings


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """Version of a database schema.

    Attributes:
        dialect: kind of the database, such as `sqlite`.
        current: version of the schema; None if there is none yet.
        needed: version that this program needs.
        is_usable: whether this program can work with the current version.
    """

    dialect: str
    current: str | None
    needed: str
    is_usable: bool


def schema_version(settings: Settings) -> SchemaVersion:
    """Return the version of the schema. A database that does not exist is not created.

    Raises:
        ConfigError: the URL of the database is invalid.
        TransientError: the database is unreachable.
    """
    from echo_node.storage.database import migrate
    from echo_node.storage.database.engine import Database

    if is_absent(settings):
        return SchemaVersion("sqlite", None, migrate.latest(), is_usable=False)
    database = Database(settings.database_url)
    try:
        return SchemaVersion(
            database.dialect, migrate.current(database), migrate.latest(), migrate.is_usable(database)
        )
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class SchemaUpgrade:
    """Result of an upgrade.

    Attributes:
        before: version before the upgrade; None if there was no schema.
        current: version now; a newer one that this program can work with is left as it was.
        needed: version that this program needs.
    """

    before: str | None
    current: str
    needed: str


def upgrade_schema(settings: Settings) -> SchemaUpgrade:
    """Create the database, or upgrade its schema to this program.

    Raises:
        ConfigError: the schema is of a newer program, and this one is too old for it.
        TransientError: the database is unreachable.
    """
    from echo_node.storage.database import migrate
    from echo_node.storage.database.engine import Database

    database = Database(settings.database_url)
    try:
        before = migrate.current(database)
        return SchemaUpgrade(before, migrate.upgrade(database), migrate.latest())
    finally:
        database.close()
