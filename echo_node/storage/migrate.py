"""The schema's versions: Alembic's scripts, run by the program itself."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from echo_node.errors import ConfigError, TransientError
from echo_node.packaged import packaged_folder
from echo_node.storage.engine import Database

_LOCK_KEY = 0x6563_686F  # "echo": several machines may start, and upgrade, at once


def upgrade(database: Database, version: str = "head") -> str:
    """Bring the schema to this program's version, or to an earlier one, all or nothing; return which it has.

    Raises:
        ConfigError: the schema was made by a newer program.
        TransientError: the database cannot be reached.
    """
    try:
        with database.engine.execution_options(echo_node_writes=True).begin() as connection:
            if database.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            config = _config(connection)
            _refuse_newer(connection, config)
            command.upgrade(config, version)
    except DBAPIError as error:
        raise TransientError(f"the database could not be upgraded ({type(error.orig).__name__})") from None
    return latest() if version == "head" else version


def current(database: Database) -> str | None:
    """Return the version of the database's schema; None before the first upgrade.

    Raises:
        TransientError: the database cannot be reached.
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


def _refuse_newer(connection: Connection, config: Config) -> None:
    here = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if here is not None and here not in known:
        raise ConfigError(
            f"the database has schema version {here}, which this program does not know: "
            "it was upgraded by a newer echo-node; install that one"
        )


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(packaged_folder("alembic")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
