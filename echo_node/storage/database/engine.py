"""The database connection: SQLite or PostgreSQL, one engine for each process.

Each `read()` or `write()` block is one transaction. On SQLite a writer begins with BEGIN IMMEDIATE,
so that it waits for its turn instead of failing midway. A commit is on the disk when it returns
(synchronous=FULL). Errors of the driver become TransientError, so that the statement is retried
later. Their text may contain values and is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from echo_node.errors import ConfigError, TransientError
from echo_node.storage.database.notifications import (
    Notifier,
    PostgresNotifier,
    SocketNotifier,
    pending_topics,
)

_BUSY_TIMEOUT_MS = 30_000
_WRITES = "echo_node_writes"


class Database:
    """Database of this process.

    Args:
        url: `sqlite:///PATH` or `postgresql://…`; the driver is always psycopg 3.
        notifier_folder: folder of the sockets that wake the workers of one machine; PostgreSQL
            needs none.

    Raises:
        ConfigError: the URL is not one of these, or its driver is not installed.
    """

    def __init__(self, url: str, notifier_folder: Path | None = None) -> None:
        self.engine = _make_engine(_checked(url))
        self._writing = self.engine.execution_options(**{_WRITES: True})
        self.notifier: Notifier | None = None
        if self.dialect == "postgresql":
            self.notifier = PostgresNotifier(self.engine)
        elif notifier_folder is not None:
            self.notifier = SocketNotifier(notifier_folder)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads.

        Raises:
            TransientError: the database is unreachable.
        """
        with _translated(), Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that commits at the end of the block, and is durable after it.

        Raises:
            TransientError: the database is unreachable, or full.
        """
        with _translated(), Session(self._writing) as session:
            with session.begin():
                yield session
                topics = pending_topics(session)
                if self.notifier is not None:
                    self.notifier.notify_in_transaction(session, topics)
            if self.notifier is not None:
                self.notifier.notify_after_commit(topics)

    @contextmanager
    def server_lock(self, number: int, *, shared: bool) -> Iterator[bool]:
        """Hold one of PostgreSQL's advisory locks, for all machines. Yield whether it is held.

        The lock ends with its connection, however this process ends.

        Raises:
            TransientError: the database is unreachable.
        """
        attempt = func.pg_try_advisory_lock_shared if shared else func.pg_try_advisory_lock
        release = func.pg_advisory_unlock_shared if shared else func.pg_advisory_unlock
        engine = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        with _translated(), engine.connect() as connection:
            is_held = bool(connection.scalar(select(attempt(number))))
            try:
                yield is_held
            finally:
                if is_held:  # the server notices a closed connection only later
                    with suppress(DBAPIError):
                        connection.scalar(select(release(number)))
                connection.invalidate()  # the pool would keep the connection and its lock

    @property
    def file(self) -> Path | None:
        """File of an SQLite database; None on PostgreSQL."""
        return None if self.dialect == "postgresql" else Path(str(self.engine.url.database)).absolute()

    def server_place(self) -> str:
        """Return an identifier that a dumped and loaded copy of this PostgreSQL database lacks.

        Raises:
            TransientError: the database is unreachable.
        """
        with self.read() as session:
            is_told = session.scalar(text("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"))
            cluster = text("SELECT system_identifier FROM pg_control_system()")
            number = session.scalar(text("SELECT oid FROM pg_database WHERE datname = current_database()"))
            return f"postgresql:{session.scalar(cluster) if is_told else '-'}:{number}"

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(
            "database.url is not an SQLAlchemy URL such as postgresql://user@host/name"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigError("database.url must name a file: an SQLite database in memory survives nothing")
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"database.url names the database '{backend}': use sqlite:/// or postgresql://")


def _make_engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "postgresql":
            return create_engine(url, pool_pre_ping=True, hide_parameters=True)
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, hide_parameters=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError("PostgreSQL needs psycopg: install echo-node[postgres]") from error
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # _begin_sqlite begins transactions, not the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # Not chained: the driver's text may quote values of the row.
        raise TransientError(f"the database refused a statement ({type(error.orig).__name__})") from None
    except PoolTimeoutError:
        raise TransientError("every database connection is in use") from None
    except SQLAlchemyError as error:
        raise TransientError(f"the database layer failed ({type(error).__name__})") from None
