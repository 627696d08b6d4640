"""The bell: whoever makes work rings it, so that workers need not look for work all the time.

A worker that waits hears the bell within milliseconds; one that was busy, or whom the ring missed, finds the
work when it next looks. Nothing depends on the bell but the time that is lost without it.

On PostgreSQL it is LISTEN and NOTIFY, heard on every machine, and a transaction that is rolled back does not
ring. With SQLite, which is for one machine, every waiting worker has a datagram socket in a folder.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

log = structlog.get_logger()

JOBS, DELIVERIES, COMMITMENTS, PROMISES, ANSWERS = "jobs", "deliveries", "commitments", "promises", "answers"
WITHDRAWALS = "withdrawals"
_CHANNEL = "echo_node"
_SLICE_S = 0.5
"""How long a worker may take to notice that it shall stop."""


def ring(session: Session, topic: str) -> None:
    """Ring for a topic when this transaction has committed."""
    session.info.setdefault(_CHANNEL, set()).add(topic)


def rung(session: Session) -> set[str]:
    """Return the topics that this transaction rings for."""
    topics: set[str] = session.info.get(_CHANNEL, set())
    return topics


class Ear(Protocol):
    """What a worker waits with."""

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        """Return when the bell rings, when *stop* is set, or after this time."""
        ...

    def close(self) -> None:
        """Listen no more."""
        ...


class Bell(Protocol):
    """Rings, and gives ears to whoever waits."""

    def ring_within(self, session: Session, topics: Collection[str]) -> None:
        """Ring as a part of a transaction that is about to commit."""
        ...

    def ring_after(self, topics: Collection[str]) -> None:
        """Ring after a transaction has committed."""
        ...

    def ear(self, topic: str) -> Ear:
        """Return what hears the rings of a topic from now on."""
        ...


class LocalBell:
    """The bell of one machine: each ear is a datagram socket below a folder, named by its topic.

    Args:
        folder: where the sockets are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ring_within(self, session: Session, topics: Collection[str]) -> None:
        """Do nothing: another process would look before the commit."""

    def ring_after(self, topics: Collection[str]) -> None:
        """Send a byte to every ear; the socket of a process that died is cleared away."""
        for topic in topics:
            for path in self._folder.glob(f"{topic}-*"):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
                    bell.setblocking(False)
                    try:
                        with _short(path) as address:
                            bell.sendto(b"!", address)
                    except ConnectionRefusedError:
                        path.unlink(missing_ok=True)
                    except OSError:
                        continue  # a full ear has been rung already; one that has just gone hears nothing

    def ear(self, topic: str) -> Ear:
        """Return an ear; one that only sleeps where the system has no such sockets."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{topic}-{secrets.token_hex(6)}"
        try:
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            with _short(path) as address:
                listening.bind(address)
        except OSError as error:
            log.warning("bell_not_heard", kind=topic, error=type(error).__name__)
            return Sleeper()
        return _LocalEar(listening, path)


class _LocalEar:
    def __init__(self, listening: socket.socket, path: Path) -> None:
        self._listening, self._path = listening, path

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
            self._listening.settimeout(min(left, _SLICE_S))
            with suppress(TimeoutError):
                self._listening.recv(16)
                self._drain()
                return

    def close(self) -> None:
        self._listening.close()
        self._path.unlink(missing_ok=True)

    def _drain(self) -> None:
        self._listening.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self._listening.recv(16)


class PostgresBell:
    """The bell of a database that several machines share.

    Args:
        engine: of the database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ring_within(self, session: Session, topics: Collection[str]) -> None:
        """Notify; PostgreSQL delivers it when the transaction commits."""
        for topic in topics:
            session.execute(text("SELECT pg_notify(:channel, :topic)"), {"channel": _CHANNEL, "topic": topic})

    def ring_after(self, topics: Collection[str]) -> None:
        """Do nothing: the transaction has rung."""

    def ear(self, topic: str) -> Ear:
        """Return an ear with a connection of its own."""
        return _PostgresEar(self._engine, topic)


class _PostgresEar:
    def __init__(self, engine: Engine, topic: str) -> None:
        self._engine, self._topic = engine, topic
        self._connection: Any = None

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        try:
            connection = self._listening()
            while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
                for notice in connection.notifies(timeout=min(left, _SLICE_S), stop_after=1):
                    if notice.payload == self._topic:
                        return
        except (DBAPIError, OSError, self._lost()) as error:
            log.warning("bell_not_heard", kind=self._topic, error=type(error).__name__)
            self.close()
            stop.wait(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _listening(self) -> Any:
        if self._connection is None:
            import psycopg

            url = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(url, autocommit=True)
            self._connection.execute(f"LISTEN {_CHANNEL}")
        return self._connection

    @staticmethod
    def _lost() -> type[Exception]:
        import psycopg

        return psycopg.Error


class Sleeper:
    """An ear that hears nothing: whoever waits with it looks when the time is up."""

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        """Return when *stop* is set, or after this time."""
        stop.wait(timeout_s)

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Yield a path by way of its open folder: the address of a socket has 107 bytes at most."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
