"""Every test of this folder runs on SQLite and PostgreSQL, or with objects in folders and in S3."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from support import postgresql, s3
from support.made_once import made_once

from echo_node.settings import IntakeSettings, NodeSettings, Settings, StorageSettings
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database

_SQLITE = "queue.sqlite3"
_numbers = itertools.count()


class _Server:
    """A PostgreSQL server that copies databases from one that has the schema.

    Args:
        url: its first database.
    """

    _TEMPLATE = "echo_template"

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._first = Database(url)
        self._run(f"CREATE DATABASE {self._TEMPLATE}")
        template = self._open(self._TEMPLATE)
        migrate.upgrade(template)
        template.close()

    def create(self) -> Database:
        """Return a new database."""
        name = f"echo_{next(_numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {self._TEMPLATE}")
        return self._open(name)

    def drop(self, database: Database) -> None:
        """Remove a database: hundreds of them make the server slow to remove."""
        self._run(f"DROP DATABASE {database.engine.url.database} WITH (FORCE)")

    def close(self) -> None:
        """Close the connection."""
        self._first.close()

    def _open(self, name: str) -> Database:
        return Database(self._url.set(database=name).render_as_string(hide_password=False))

    def _run(self, command: str) -> None:
        engine = self._first.engine.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(command))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[_Server]:
    with postgresql.server() as url:
        server = _Server(url)
        yield server
        server.close()


def _migrated_sqlite(folder: Path) -> None:
    folder.mkdir()
    database = Database(f"sqlite:///{folder / _SQLITE}")
    migrate.upgrade(database)
    database.close()


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.external)],
)
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Database]]:
    """A maker of empty databases of one kind, closed at the end."""
    made: list[Database] = []
    is_sqlite = request.param == "sqlite"
    server: _Server | None = None if is_sqlite else request.getfixturevalue("postgresql_server")

    def make() -> Database:
        if server is None:
            file = tmp_path_factory.mktemp("db") / _SQLITE
            shutil.copy(made_once("sqlite", _migrated_sqlite) / _SQLITE, file)
            database = Database(f"sqlite:///{file}")
        else:
            database = server.create()
        made.append(database)
        return database

    yield make
    for database in made:
        database.close()
        if server is not None:
            server.drop(database)


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    return new_database()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.Server]:
    with s3.server() as server:
        yield server


@pytest.fixture(params=["data folder", "shared folder", "s3"])
def settings_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], Settings]:
    """Makes a machine's settings for its data folder; a test's machines share their objects."""
    storage = StorageSettings()
    if request.param == "shared folder":
        storage = StorageSettings(url=f"file://{tmp_path_factory.mktemp('shared')}")
    if request.param == "s3":
        server: s3.Server = request.getfixturevalue("s3_server")
        storage = StorageSettings(url=f"s3://{server.new_bucket()}/echo", endpoint_url=server.endpoint_url)

    def settings(data_dir: Path) -> Settings:
        return Settings(
            node=NodeSettings(data_dir=data_dir), storage=storage, intake=IntakeSettings(minimum_free_bytes=0)
        )

    return settings
