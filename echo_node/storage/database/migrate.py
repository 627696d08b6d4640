"""Migrations of the schema: Alembic's scripts, run by the program itself.

The machines of a node are upgraded one after another. Therefore a program also works with a newer
schema that states so (`schema_support`). Every script only adds columns and tables that an older
program can ignore, with defaults, and removes nothing that the version before it uses. A test
checks this.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from echo_node.errors import ConfigError, TransientError
from echo_node.resources import packaged_folder
from echo_node.storage.database.engine import Database

_LOCK_KEY = 0x6563_686F  # "echo": several machines may start, and upgrade, at once


def upgrade(database: Database, version: str = "head") -> str:
    """Bring the schema to this program's version, or to an earlier one, all or nothing.

    A newer schema that this program can work with stays unchanged.

    Returns:
        The version of the schema.

    Raises:
        ConfigError: a newer program upgraded the schema, and this one is too old for it.
        TransientError: the database is unreachable.
    """
    try:
        with database.engine.execution_options(echo_node_writes=True).begin() as connection:
            if database.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            config = _config(connection)
            newer = _newer(connection, config)
            if newer is not None:
                return newer
            command.upgrade(config, version)
    except DBAPIError as error:
        raise TransientError(f"the database could not be upgraded ({type(error.orig).__name__})") from None
    return latest() if version == "head" else version


def current(database: Database) -> str | None:
    """Return the version of the database's schema; None before the first upgrade.

    Raises:
        TransientError: the database is unreachable.
    """
    try:
        with database.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        raise TransientError(f"the database cannot be reached ({type(error.orig).__name__})") from None


def latest() -> str:
    """Return the version that this program needs."""
    head = ScriptDirectory.from_config(_config(None)).get_current_head()
    if head is None:
        raise ConfigError("this installation of echo-node holds no database scripts: install it again")
    return head


def is_usable(database: Database) -> bool:
    """Return whether this program can work with the present schema.

    Raises:
        ConfigError: a newer program upgraded it, and this one is too old for it.
        TransientError: the database is unreachable.
    """
    if current(database) == latest():
        return True
    with database.engine.connect() as connection:
        return _newer(connection, _config(connection)) is not None


def _newer(connection: Connection, config: Config) -> str | None:
    """Return the version of a newer schema that this program can work with, else None.

    Raises:
        ConfigError: this program is too old for it.
    """
    here = MigrationContext.configure(connection).get_current_revision()
    known = _known(config)
    if here is None or here in known:
        return None
    oldest = connection.scalar(text("SELECT oldest FROM schema_support"))
    if oldest not in known:
        raise ConfigError(
            f"the database has schema version {here}, which this program does not know: "
            "it was upgraded by a newer echo-node; install that one"
        )
    return here


def _known(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(packaged_folder("alembic")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
