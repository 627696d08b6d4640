from pathlib import Path

import pytest
from sqlalchemy import text

from echo_node.errors import ConfigError, TransientError
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    migrate.upgrade(database)
    return database


def test_sqlite_is_as_durable_as_it_can_be(database: Database) -> None:
    with database.read() as session:
        values = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_writer_is_a_writer_from_the_beginning(database: Database) -> None:
    with database.write() as session, database.engine.connect() as other:
        session.execute(text("SELECT 1"))  # reading is enough: the transaction began as a writer's
        other.exec_driver_sql("PRAGMA busy_timeout = 0")
        with pytest.raises(Exception, match="locked"):
            other.exec_driver_sql("UPDATE alembic_version SET version_num = 'x'")


def test_an_error_in_the_block_rolls_back(database: Database) -> None:
    def fail_half_way() -> None:
        with database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = 'x'"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert migrate.current(database) == migrate.latest()


def test_the_drivers_text_goes_nowhere(database: Database) -> None:
    with pytest.raises(TransientError) as caught, database.write() as session:
        session.execute(text("SELECT :secret FROM no_such_table"), {"secret": "DOE^JOHN"})
    assert "DOE" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://host/name"])
def test_a_url_that_cannot_be_used_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url"):
        Database(url)


def test_postgresql_is_reached_by_psycopg_3() -> None:
    pytest.importorskip("psycopg")
    for url in ("postgresql://host/name", "postgres://host/name", "postgresql+psycopg2://host/name"):
        assert Database(url).engine.url.drivername == "postgresql+psycopg"


def test_a_database_that_does_not_answer_is_transient() -> None:
    pytest.importorskip("psycopg")
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(TransientError), database.read() as session:
        session.execute(text("SELECT 1"))
    with pytest.raises(TransientError):
        migrate.current(database)
    with pytest.raises(TransientError):
        migrate.upgrade(database)


def _as_of_a_newer_program(database: Database, oldest: str) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        session.execute(text("UPDATE schema_support SET oldest = :oldest"), {"oldest": oldest})


def test_a_much_newer_schema_is_refused(database: Database) -> None:
    _as_of_a_newer_program(database, "9998")
    for use in (migrate.upgrade, migrate.is_usable):
        with pytest.raises(ConfigError, match="newer"):
            use(database)
    assert migrate.current(database) == "9999"


def test_the_schema_of_the_next_version_is_worked_with(database: Database) -> None:
    _as_of_a_newer_program(database, migrate.latest())
    assert migrate.is_usable(database)
    assert migrate.upgrade(database) == migrate.current(database) == "9999"


def test_a_database_without_schema_has_no_version(tmp_path: Path) -> None:
    assert migrate.current(Database(f"sqlite:///{tmp_path / 'new' / 'x.sqlite3'}")) is None
