"""Every test of this folder runs on SQLite and PostgreSQL, or with objects in folders and in S3."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from support import postgresql, s3

from echo_node.settings import IntakeSettings, NodeSettings, Settings, StorageSettings
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with postgresql.server() as url:
        yield url


def _fresh_postgresql(url: str) -> Database:
    """Make a database of its own on the server, copied from one that has the schema."""
    server = Database(url)
    template = "echo_template"
    with server.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        known = connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": template})
        if not known:
            connection.execute(text(f"CREATE DATABASE {template}"))
            made = Database(str(make_url(url).set(database=template)))
            migrate.upgrade(made)
            made.close()
        name = f"echo_{next(_numbers)}"
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    server.close()
    return Database(make_url(url).set(database=name).render_as_string(hide_password=False))


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.external)],
)
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Database]]:
    """A maker of empty databases of one kind, closed at the end."""
    made: list[Database] = []

    def make() -> Database:
        if request.param == "sqlite":
            folder: Path = tmp_path_factory.mktemp("db")
            database = Database(f"sqlite:///{folder / 'queue.sqlite3'}")
            migrate.upgrade(database)
        else:
            database = _fresh_postgresql(request.getfixturevalue("postgresql_url"))
        made.append(database)
        return database

    yield make
    for database in made:
        database.close()


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
