"""A draft requests priors, and never depends on an answer or on its content."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from support.studies import SetClock

from echo_node import logs
from echo_node.domain.drafts.comparison import Comparison, PriorStudy
from echo_node.domain.drafts.subject import Order, Subject
from echo_node.domain.work.job import DraftJob, Lease
from echo_node.errors import PermanentError, TransientError
from echo_node.pipeline.priors import PriorSearch

SUBJECT = Subject(
    "Doe^Jane", "4711-NOBODY", "", "19600229", "F", "", "20260601", "", "", (Order(),), zone=None,
)  # fmt: skip
FOUND = Comparison("ARCHIVE", 10, PriorStudy("1.2.3.4", "20260304"))
LONG_S = 60.0


class Archive:
    """A finder that answers when it is let, as it is told."""

    archive, within_years = "ARCHIVE", 10

    def __init__(self) -> None:
        self.let, self.asked = threading.Event(), threading.Semaphore(0)
        self.says: Comparison | Exception = FOUND
        self.questions: list[tuple[Subject, str]] = []

    def find(self, subject: Subject, study_instance_uid: str) -> Comparison:
        self.questions.append((subject, study_instance_uid))
        self.asked.release()
        assert self.let.wait(LONG_S)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@pytest.fixture
def archive() -> Iterator[Archive]:
    """One that answers at once."""
    asked = Archive()
    asked.let.set()
    yield asked
    asked.let.set()


@pytest.fixture(autouse=True)
def logged() -> Iterator[StringIO]:
    """Everything that is logged, with a complaint about keys that may not be."""
    stream = StringIO()
    logs.configure("debug", "json", stream=stream, strict=True)
    yield stream
    assert "4711-NOBODY" not in stream.getvalue()
    assert "Doe" not in stream.getvalue()


def _job(number: int = 1) -> DraftJob:
    lease = Lease(number, 1, 1, "worker", SetClock().now())
    return DraftJob(lease, study_id=number, study_instance_uid=f"1.2.3.{number}", revision=1)


def _search(archive: Archive, limit_s: float = LONG_S, clock: SetClock | None = None) -> PriorSearch:
    return PriorSearch(archive, clock or SetClock(), limit_s)


@contextmanager
def _answering_soon(archive: Archive) -> Iterator[None]:
    """Let the archive answer after a second, so that code which waits for it is noticed."""
    timer = threading.Timer(1.0, archive.let.set)
    timer.start()
    yield
    timer.cancel()
    timer.join()


def _threads_ended() -> None:
    for thread in threading.enumerate():
        if thread.name == "priors":
            thread.join(LONG_S)


def test_what_is_found_is_the_answer(archive: Archive, logged: StringIO) -> None:
    assert _search(archive).begin(_job(), SUBJECT)() == FOUND
    assert archive.questions == [(SUBJECT, "1.2.3.1")]
    (event,) = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert (event["event"], event["study_id"], event["outcome"]) == ("priors_looked_up", 1, "found")


def test_the_archive_is_asked_while_the_model_writes(archive: Archive) -> None:
    archive.let.clear()
    answer = _search(archive).begin(_job(), SUBJECT)
    assert archive.asked.acquire(timeout=LONG_S)  # the question is out, and nobody waits for it
    archive.let.set()
    assert answer() == FOUND


@pytest.mark.parametrize(
    "error",
    [TransientError("no"), PermanentError("no"), RuntimeError("Doe^Jane 4711-NOBODY"), KeyError("Doe^Jane")],
)
def test_a_failure_of_any_kind_is_said_and_no_failure_of_the_draft(
    archive: Archive, error: Exception, logged: StringIO
) -> None:
    archive.says = error
    answer = _search(archive).begin(_job(), SUBJECT)()
    assert answer == Comparison("ARCHIVE", 10, obstacle="it cannot be reached, or does not answer")
    assert ("archive_failed" if str(error) == "no" else "prior_lookup_failed") in logged.getvalue()


def test_nobody_waits_longer_than_the_limit(archive: Archive) -> None:
    archive.let.clear()
    answer = _search(archive, limit_s=0.05).begin(_job(), SUBJECT)()
    assert answer == Comparison("ARCHIVE", 10, obstacle="it did not answer in time")


def test_what_the_model_took_counts_for_the_limit(archive: Archive) -> None:
    archive.let.clear()
    clock = SetClock()
    answer = _search(archive, clock=clock).begin(_job(), SUBJECT)
    clock.move(LONG_S)
    with _answering_soon(archive):
        assert answer().obstacle == "it did not answer in time"


def test_an_archive_that_failed_is_not_waited_for_until_it_answers_again(archive: Archive) -> None:
    search = _search(archive)
    archive.says = TransientError("no")
    assert search.begin(_job(), SUBJECT)().obstacle
    archive.let.clear()
    archive.says = FOUND
    answer = search.begin(_job(2), SUBJECT)
    with _answering_soon(archive):
        assert answer().obstacle == "it did not answer in time"
    archive.let.set()
    _threads_ended()
    assert search.begin(_job(3), SUBJECT)() == FOUND


def test_an_answer_that_came_too_late_wins_back_no_trust(archive: Archive) -> None:
    archive.let.clear()
    clock = SetClock()
    search = _search(archive, clock=clock)
    late = search.begin(_job(), SUBJECT)
    clock.move(LONG_S + 1)
    assert late().obstacle
    archive.let.set()
    _threads_ended()
    archive.let.clear()
    with _answering_soon(archive):
        assert search.begin(_job(2), SUBJECT)().obstacle == "it did not answer in time"


def test_an_archive_without_an_end_holds_up_few_threads_and_no_draft(archive: Archive) -> None:
    archive.let.clear()
    search = _search(archive, limit_s=0.01)
    obstacles = [search.begin(_job(number), SUBJECT)().obstacle for number in range(10)]
    assert obstacles == ["it did not answer in time"] * 4 + ["it has not answered earlier questions yet"] * 6
    assert len(archive.questions) == 4
    archive.let.set()
    _threads_ended()
    search.begin(_job(), SUBJECT)
    _threads_ended()
    assert len(archive.questions) == 5


@pytest.mark.parametrize("identifier", ["", "47*", "4?11", "4711\\4712"])
def test_an_identifier_that_cannot_be_asked_for_goes_nowhere(archive: Archive, identifier: str) -> None:
    subject = replace(SUBJECT, patient_id=identifier)
    answer = _search(archive).begin(_job(), subject)()
    assert "patient ID" in answer.obstacle
    assert archive.questions == []


def test_a_clock_that_is_set_back_makes_nobody_wait_longer(archive: Archive) -> None:
    archive.let.clear()
    clock = SetClock()
    answer = _search(archive, limit_s=0.05, clock=clock).begin(_job(), SUBJECT)
    clock.moment = datetime(2020, 1, 1, tzinfo=UTC) - timedelta(days=1)
    with _answering_soon(archive):
        assert answer().obstacle == "it did not answer in time"
