"""A commit wakes the workers that wait for its topic, on every database."""

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.house import House

from echo_node.domain.work.kinds import DRAFTING, SENDING
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import Notifier, SocketNotifier, notify

_LONG_S = 60.0


class Waiting:
    """A worker that waits in its own thread."""

    def __init__(self, notifier: Notifier, topic: str) -> None:
        self.stop = threading.Event()
        self._waiter = notifier.waiter(topic)
        self._thread = threading.Thread(target=self._waiter.wait, args=(self.stop, _LONG_S), daemon=True)
        self._thread.start()
        time.sleep(0.3)  # PostgreSQL: until it listens

    def is_woken(self, within_s: float) -> bool:
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        self.stop.set()
        self._thread.join(5)
        self._waiter.close()


@pytest.fixture
def notifying(database: Database, tmp_path: Path) -> Iterator[Database]:
    """A database with a notifier, as a node opens it."""
    url = database.engine.url.render_as_string(hide_password=False)
    opened = Database(url, tmp_path / ("long-" * 20) / "notifier")
    yield opened
    opened.close()


@pytest.fixture
def waiting(notifying: Database) -> Iterator[Waiting]:
    assert notifying.notifier is not None
    waits = Waiting(notifying.notifier, DRAFTING.topic)
    yield waits
    waits.close()


def test_a_commit_notifies(notifying: Database, waiting: Waiting) -> None:
    with notifying.write() as session:
        notify(session, DRAFTING.topic)
        assert not waiting.is_woken(0.3)
    assert waiting.is_woken(10)


def test_a_transaction_that_fails_does_not_notify(notifying: Database, waiting: Waiting) -> None:
    def fail() -> None:
        with notifying.write() as session:
            notify(session, DRAFTING.topic)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not waiting.is_woken(0.5)


def test_waiters_of_other_topics_are_not_woken(notifying: Database, waiting: Waiting) -> None:
    with notifying.write() as session:
        notify(session, SENDING.topic)
    assert not waiting.is_woken(0.5)


def test_a_waiting_worker_can_be_stopped(waiting: Waiting) -> None:
    waiting.stop.set()
    assert waiting.is_woken(10)


def test_a_notification_before_the_wait_is_not_lost(notifying: Database) -> None:
    assert notifying.notifier is not None
    waiter = notifying.notifier.waiter(DRAFTING.topic)
    waiter.wait(threading.Event(), 0.3)  # PostgreSQL: it listens from here on
    with notifying.write() as session:
        notify(session, DRAFTING.topic)
    started = time.monotonic()
    waiter.wait(threading.Event(), _LONG_S)
    waiter.close()
    assert time.monotonic() - started < _LONG_S / 2


def test_every_stage_notifies_the_next(notifying: Database, tmp_path: Path) -> None:
    assert notifying.notifier is not None
    house = House(notifying, tmp_path)

    def arrive_and_complete() -> None:
        house.arrive()
        house.complete()

    def draft() -> None:
        house.draft(house.claim())

    for topic, act in ((DRAFTING.topic, arrive_and_complete), (SENDING.topic, draft)):
        waits = Waiting(notifying.notifier, topic)
        act()
        assert waits.is_woken(10), topic
        waits.close()


def test_the_socket_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    notifier = SocketNotifier(tmp_path)
    dead, alive = notifier.waiter(DRAFTING.topic), notifier.waiter(DRAFTING.topic)
    dead._listening.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) == 2
    notifier.notify_after_commit({DRAFTING.topic})
    assert len(list(tmp_path.iterdir())) == 1
    alive.close()
    assert list(tmp_path.iterdir()) == []


def test_what_fails_after_the_commit_is_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = SocketNotifier(tmp_path)
    waiter = notifier.waiter(DRAFTING.topic)

    def fail(*_: int) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(socket, "socket", fail)
    notifier.notify_after_commit({DRAFTING.topic})
    waiter.close()


def test_a_folder_that_cannot_be_listed_after_the_commit_is_not_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = SocketNotifier(tmp_path)

    def fail(*_: str) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "scandir", fail)
    notifier.notify_after_commit({DRAFTING.topic})
