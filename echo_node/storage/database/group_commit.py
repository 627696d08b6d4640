"""Group commit: work that arrives during a commit is committed together in the next one.

A commit waits for the disk. Many senders that write to one database would wait for each other. The
thread that comes first leads: it does the work of all waiting threads in one transaction. An error
in the work of one thread undoes that work only. There is no extra thread and no delay: a single
sender commits alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from echo_node.storage.database.engine import Database

Result = TypeVar("Result")

_MOST = 64
"""Maximum number of works in one transaction."""


@dataclass(slots=True)
class _Work(Generic[Result]):
    """Work of a thread, to be committed.

    Attributes:
        key: sort key within a transaction, so that two processes lock rows in the same order.
        do: the work.
        turn: set when the work is done, or when its thread must lead.
    """

    key: str
    do: Callable[[Session], Result]
    turn: threading.Event = field(default_factory=threading.Event)
    is_done: bool = False
    result: Any = None
    error: BaseException | None = None


class GroupCommit:
    """Commits the work of several threads together."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: list[_Work[Any]] = []
        self._is_led = False

    def run(self, key: str, do: Callable[[Session], Result]) -> Result:
        """Do work in a transaction, and return after its commit.

        Args:
            key: name of the first row that the work locks, such as a study.
            do: work on the given session. Its errors are raised here, and undo all that it did. It
                may run twice, the first time in a transaction that is rolled back.

        Raises:
            TransientError: the database is unreachable, or full.
        """
        work = _Work(key, do)
        with self._lock:
            self._waiting.append(work)
            leads, self._is_led = not self._is_led, True
        if not leads:
            work.turn.wait()
        if not work.is_done:
            self._lead(work)
        if work.error is not None:
            raise work.error
        result: Result = work.result
        return result

    def _lead(self, own: _Work[Any]) -> None:
        """Commit the waiting work, including this thread's; then another waiting thread leads."""
        with self._lock:
            self._waiting.remove(own)
            batch = sorted([own, *self._waiting[: _MOST - 1]], key=lambda work: work.key)
            del self._waiting[: _MOST - 1]
        try:
            self._commit(batch)
        except BaseException as error:  # noqa: BLE001 - raised again in each waiting thread
            for work in batch:
                work.error = error
        with self._lock:
            next_leader = self._waiting[0] if self._waiting else None
            self._is_led = next_leader is not None
        for work in batch:
            work.is_done = True
            work.turn.set()
        if next_leader is not None:
            next_leader.turn.set()

    def _commit(self, batch: list[_Work[Any]]) -> None:
        """Do all work in one transaction; after an error do it again, with a savepoint for each."""
        try:
            with self._database.write() as session:
                for work in batch:
                    work.result = _done(work, session)
        except _WorkRaisedError as raised:  # and nothing else: after a later error the work may be committed
            if len(batch) == 1:
                raise raised.error from None
            self._commit_what_can_be(batch)

    def _commit_what_can_be(self, batch: list[_Work[Any]]) -> None:
        with self._database.write() as session:
            for work in batch:
                try:
                    with session.begin_nested():
                        work.result = _done(work, session)
                except _WorkRaisedError as raised:
                    work.error = raised.error


class _WorkRaisedError(Exception):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _done(work: _Work[Any], session: Session) -> Any:
    """Do the work of one thread.

    Raises:
        _WorkRaisedError: the work raised an error that is not the database's.
    """
    try:
        return work.do(session)
    except SQLAlchemyError:
        raise  # no work is committed
    except Exception as error:
        raise _WorkRaisedError(error) from error
