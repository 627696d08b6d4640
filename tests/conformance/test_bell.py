"""Whoever waits for work hears at once that there is some, on every database."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.house import House

from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import DELIVERIES, JOBS, Bell, LocalBell, ring

_LONG_S = 60.0


class Waiting:
    """A worker that waits in a thread of its own."""

    def __init__(self, bell: Bell, topic: str) -> None:
        self.stop = threading.Event()
        self._ear = bell.ear(topic)
        self._thread = threading.Thread(target=self._ear.wait, args=(self.stop, _LONG_S), daemon=True)
        self._thread.start()
        time.sleep(0.3)  # PostgreSQL: until it listens

    def heard(self, within_s: float) -> bool:
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        self.stop.set()
        self._thread.join(5)
        self._ear.close()


@pytest.fixture
def ringing(database: Database, tmp_path: Path) -> Iterator[Database]:
    """A database with a bell, as a node opens it."""
    url = database.engine.url.render_as_string(hide_password=False)
    opened = Database(url, tmp_path / ("long-" * 20) / "bell")
    yield opened
    opened.close()


@pytest.fixture
def waiting(ringing: Database) -> Iterator[Waiting]:
    assert ringing.bell is not None
    waits = Waiting(ringing.bell, JOBS)
    yield waits
    waits.close()


def test_a_commit_rings(ringing: Database, waiting: Waiting) -> None:
    with ringing.write() as session:
        ring(session, JOBS)
        assert not waiting.heard(0.3)
    assert waiting.heard(10)


def test_a_transaction_that_fails_does_not_ring(ringing: Database, waiting: Waiting) -> None:
    def fail() -> None:
        with ringing.write() as session:
            ring(session, JOBS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not waiting.heard(0.5)


def test_only_who_waits_for_it_hears_it(ringing: Database, waiting: Waiting) -> None:
    with ringing.write() as session:
        ring(session, DELIVERIES)
    assert not waiting.heard(0.5)


def test_who_waits_can_be_stopped(waiting: Waiting) -> None:
    waiting.stop.set()
    assert waiting.heard(10)


def test_a_ring_before_the_wait_is_not_lost(ringing: Database) -> None:
    assert ringing.bell is not None
    ear = ringing.bell.ear(JOBS)
    ear.wait(threading.Event(), 0.3)  # PostgreSQL: it listens from here on
    with ringing.write() as session:
        ring(session, JOBS)
    started = time.monotonic()
    ear.wait(threading.Event(), _LONG_S)
    ear.close()
    assert time.monotonic() - started < _LONG_S / 2


def test_every_stage_rings_for_the_next(ringing: Database, tmp_path: Path) -> None:
    assert ringing.bell is not None
    house = House(ringing, tmp_path)
    for topic, act in (
        (JOBS, lambda: (house.arrive(), house.complete())),
        (DELIVERIES, lambda: house.draft(house.claim())),
    ):
        waits = Waiting(ringing.bell, topic)
        act()
        assert waits.heard(10), topic
        waits.close()


def test_a_dead_ear_is_cleared_away(tmp_path: Path) -> None:
    bell = LocalBell(tmp_path)
    dead, alive = bell.ear(JOBS), bell.ear(JOBS)
    dead._listening.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) == 2
    bell.ring_after({JOBS})
    assert len(list(tmp_path.iterdir())) == 1
    alive.close()
    assert list(tmp_path.iterdir()) == []
