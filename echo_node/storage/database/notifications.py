"""Notifications: wake waiting workers when there is new work, to save polling.

A notification wakes a waiting worker within milliseconds. A worker that is busy or misses it finds
the work at its next poll. Notifications only save time; nothing else depends on them.

On PostgreSQL they use LISTEN and NOTIFY and reach every machine. On SQLite, which serves one
machine, each waiting worker has a datagram socket in a folder. A transaction that rolls back sends
none.
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

_CHANNEL = "echo_node"
_SLICE_S = 0.5
"""Time within which a waiting worker notices that it must stop, in seconds."""


def notify(session: Session, topic: str) -> None:
    """Notify the waiters of a topic when this transaction commits."""
    session.info.setdefault(_CHANNEL, set()).add(topic)


def pending_topics(session: Session) -> set[str]:
    """Return the topics whose waiters this transaction notifies."""
    topics: set[str] = session.info.get(_CHANNEL, set())
    return topics


class Waiter(Protocol):
    """Waits for the notifications of one topic, on behalf of a worker."""

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        """Return on a notification, when *stop* is set, or after *timeout_s* seconds."""
        ...

    def close(self) -> None:
        """Stop receiving notifications."""
        ...


class Notifier(Protocol):
    """Sends notifications, and creates the waiters that receive them."""

    def notify_in_transaction(self, session: Session, topics: Collection[str]) -> None:
        """Notify as part of a transaction that is about to commit."""
        ...

    def notify_after_commit(self, topics: Collection[str]) -> None:
        """Notify after a commit. Must not raise: the rows are durable already."""
        ...

    def waiter(self, topic: str) -> Waiter:
        """Return a waiter that receives the notifications of a topic from now on."""
        ...


class SocketNotifier:
    """Notifier for one machine: each waiter has a datagram socket, named after its topic.

    Args:
        folder: folder of the sockets.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def notify_in_transaction(self, session: Session, topics: Collection[str]) -> None:
        """Do nothing: a woken process would read the database before the commit."""

    def notify_after_commit(self, topics: Collection[str]) -> None:
        """Send a byte to every waiter, and remove the sockets of processes that died."""
        for topic in topics:
            for path in self._sockets(topic):
                with suppress(OSError):  # a full socket has a notification already; a closed one needs none
                    _send(path)

    def waiter(self, topic: str) -> Waiter:
        """Return a waiter; one that polls if the system offers no such sockets."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{topic}-{secrets.token_hex(6)}"
        try:
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            with _short(path) as address:
                listening.bind(address)
        except OSError as error:
            log.warning("listen_failed", kind=topic, error=type(error).__name__)
            return PollingWaiter()
        return _SocketWaiter(listening, path)

    def _sockets(self, topic: str) -> list[Path]:
        try:
            return list(self._folder.glob(f"{topic}-*"))
        except OSError:  # the process has too many open files: the waiters poll
            return []


def _send(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            with _short(path) as address:
                sender.sendto(b"!", address)
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)


class _SocketWaiter:
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


class PostgresNotifier:
    """Notifier for a database that several machines share: LISTEN and NOTIFY.

    Args:
        engine: engine of the database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def notify_in_transaction(self, session: Session, topics: Collection[str]) -> None:
        """Notify; PostgreSQL delivers the notification when the transaction commits."""
        for topic in topics:
            session.execute(text("SELECT pg_notify(:channel, :topic)"), {"channel": _CHANNEL, "topic": topic})

    def notify_after_commit(self, topics: Collection[str]) -> None:
        """Do nothing: the transaction has notified."""

    def waiter(self, topic: str) -> Waiter:
        """Return a waiter with its own connection."""
        return _PostgresWaiter(self._engine, topic)


class _PostgresWaiter:
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
            log.warning("listen_failed", kind=self._topic, error=type(error).__name__)
            self.close()
            stop.wait(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError, self._lost()):
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


class PollingWaiter:
    """Waiter that receives no notifications: the worker polls when the timeout is over."""

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        """Return when *stop* is set, or after *timeout_s* seconds."""
        stop.wait(timeout_s)

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Yield a path that leads through its open folder: a socket's address has at most 107 bytes."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
