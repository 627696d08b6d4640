"""Commits of several threads go together; what one of them raises is its own affair."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from echo_node.errors import TransientError
from echo_node.storage.database.engine import Database
from echo_node.storage.database.group_commit import GroupCommit
from echo_node.storage.database.rows import insert_if_absent
from echo_node.storage.database.tables import Pause


def _add(what: str) -> Callable[[Session], bool]:
    def add(session: Session) -> bool:
        return insert_if_absent(
            session, Pause, what=what, reason="test", since=datetime(2026, 1, 1, tzinfo=UTC)
        )

    return add


def _count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Pause)) or 0


class Held:
    """Work that keeps its transaction open until it is released."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _session: Session) -> None:
        self.begun.set()
        assert self.go_on.wait(20)


def test_alone_it_is_an_ordinary_transaction(database: Database) -> None:
    commits = GroupCommit(database)
    assert commits.run("a", _add("a"))
    assert not commits.run("a", _add("a"))
    assert _count(database) == 1


def test_who_comes_while_another_commits_goes_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, sizes = GroupCommit(database), list[int]()
    commit = commits._commit

    def counting(batch: list[Any]) -> None:
        sizes.append(len(batch))
        commit(batch)

    monkeypatch.setattr(commits, "_commit", counting)
    held = Held()
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(commits.run, "first", held)
        assert held.begun.wait(20)
        rest = [pool.submit(commits.run, f"{number}", _add(f"{number}")) for number in range(10)]
        while len(commits._waiting) < 10:
            threading.Event().wait(0.01)
        held.go_on.set()
        first.result(20)
        assert all(each.result(20) for each in rest)
    assert sizes == [1, 10]
    assert _count(database) == 10


def test_what_one_raises_undoes_its_own_work_alone(database: Database) -> None:
    commits, held = GroupCommit(database), Held()

    def spoilt(session: Session) -> None:
        assert _add("spoilt")(session)
        raise KeyError("mine")

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(commits.run, "first", held)
        assert held.begun.wait(20)
        good = [pool.submit(commits.run, name, _add(name)) for name in ("a", "z")]
        bad = pool.submit(commits.run, "m", spoilt)
        while len(commits._waiting) < 3:
            threading.Event().wait(0.01)
        held.go_on.set()
        first.result(20)
        assert all(each.result(20) for each in good)
        with pytest.raises(KeyError, match="mine"):
            bad.result(20)
    assert _count(database) == 2


def test_what_may_have_been_committed_is_not_done_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error after the commit: a second attempt would find the image stored and remove it."""
    commits, held, done = GroupCommit(database), Held(), list[str]()
    write = database.write

    @contextmanager
    def failing_late() -> Iterator[Session]:
        with write() as session:
            yield session
        if done:
            raise MemoryError

    def work(name: str) -> Callable[[Session], bool]:
        def do(session: Session) -> bool:
            done.append(name)
            return _add(name)(session)

        return do

    monkeypatch.setattr(database, "write", failing_late)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(commits.run, "first", held)
        assert held.begun.wait(20)
        both = [pool.submit(commits.run, name, work(name)) for name in ("a", "b")]
        while len(commits._waiting) < 2:
            threading.Event().wait(0.01)
        held.go_on.set()
        first.result(20)
        for each in both:
            with pytest.raises(MemoryError):
                each.result(20)
    assert sorted(done) == ["a", "b"]
    assert _count(database) == 2


def test_what_the_database_refuses_fails_for_all_and_leaves_nothing(database: Database) -> None:
    commits, held = GroupCommit(database), Held()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(commits.run, "first", held)
        assert held.begun.wait(20)
        both = [
            pool.submit(commits.run, "a", _add("a")),
            pool.submit(
                commits.run, "b", lambda session: session.execute(text("SELECT nonsense FROM nowhere"))
            ),
        ]
        while len(commits._waiting) < 2:
            threading.Event().wait(0.01)
        held.go_on.set()
        first.result(20)
        for each in both:
            with pytest.raises(TransientError):
                each.result(20)
    assert _count(database) == 0
    assert commits.run("a", _add("a"))  # it goes on


def test_many_threads_many_times(database: Database) -> None:
    commits = GroupCommit(database)

    def often(worker: int) -> int:
        return sum(commits.run(f"{n % 3}", _add(f"{worker}-{n}")) for n in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(often, range(8))) == 160
    assert _count(database) == 160
    assert commits._waiting == []
