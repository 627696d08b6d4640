"""Benchmark of the job queue: claims per second, by the number of waiting and of finished jobs."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select

from echo_node.domain.work.job import JobState
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.retry import RetryPolicy
from echo_node.errors import PermanentError
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import Job, Study
from echo_node.storage.queues.drafting_jobs import JobQueue
from echo_node.storage.queues.work_queue import QueueContext
from echo_node.wiring.storage import SystemClock

_AT_ONCE = 10_000
_SENDERS = 8


def bench_queue(
    url: str, queued: Sequence[int], archived: int, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure how fast one worker claims and finishes jobs.

    Args:
        url: URL of an empty database; the benchmark creates its tables and empties them at the end.
        queued: numbers of waiting jobs; each gives one row.
        archived: number of jobs that are already finished.
        progress: receives a line about each step.

    Returns:
        A row for each number in *queued*: `database`, `queued`, `archived`, `claims_per_second`
        (the worker finishes each job before the next claim), `p50_ms` and `p99_ms` of a claim.

    Raises:
        PermanentError: the database contains studies.
    """
    database = Database(url)
    try:
        migrate.upgrade(database)
        with database.read() as session:
            if session.scalar(select(Study.id).limit(1)) is not None:
                raise PermanentError("this database contains studies: use an empty one for the benchmark")
        try:
            return list(_rows(database, queued, archived, progress))
        finally:
            with database.write() as session:
                session.execute(delete(Job))
                session.execute(delete(Study))
    finally:
        database.close()


def _rows(
    database: Database, queued: Sequence[int], archived: int, progress: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    progress(f"writing {archived} finished jobs")
    _fill(database, 1, archived, JobState.DONE)
    first = archived + 1
    for count in queued:
        progress(f"claiming {count} jobs, with {archived} finished jobs in the table")
        _fill(database, first, count, JobState.READY)
        first += count
        yield _measure(database, count, archived)


def _measure(database: Database, count: int, archived: int) -> dict[str, Any]:
    randomness = random.Random()  # noqa: S311 - jitter
    queue = JobQueue(QueueContext(database, SystemClock(), RetryPolicy(5, 1, 1), 120, randomness))
    seconds, begun = [], time.perf_counter()
    for _ in range(count):
        started = time.perf_counter()
        job = queue.claim("bench")
        seconds.append(time.perf_counter() - started)
        if job is None:
            raise PermanentError("the queue did not hand out a waiting job")
        queue.skip(job, "bench")
    span = time.perf_counter() - begun
    seconds.sort()
    return {
        "database": database.dialect,
        "queued": count,
        "archived": archived,
        "claims_per_second": count / span,
        "p50_ms": 1e3 * statistics.median(seconds),
        "p99_ms": 1e3 * seconds[int(0.99 * (count - 1))],
    }


def _fill(database: Database, first: int, count: int, state: JobState) -> None:
    for start in range(first, first + count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, first + count))
        with database.write() as session:
            session.execute(insert(Study), list(_studies(numbers, state)))
            session.execute(insert(Job), list(_jobs(numbers, state)))


def _studies(numbers: range, state: JobState) -> Iterator[dict[str, Any]]:
    moment = datetime.now(UTC) - timedelta(days=1)
    waits = state is JobState.READY
    for number in numbers:
        yield {
            "id": number,
            "study_instance_uid": f"2.25.{number}",
            "state": StudyState.QUEUED if waits else StudyState.DELIVERED,
            "revision": 1,
            "calling_ae_title": f"SENDER{number % _SENDERS}",
            "due_at": moment,
            "force_at": moment,
            "received_at": moment,
            "changed_at": moment,
        }


def _jobs(numbers: range, state: JobState) -> Iterator[dict[str, Any]]:
    moment = datetime.now(UTC) - timedelta(days=1)
    for number in numbers:
        yield {
            "study_id": number,
            "revision": 1,
            "state": state,
            "turn": number // _SENDERS,
            "calling_ae_title": f"SENDER{number % _SENDERS}",
            "available_at": moment,
            "created_at": moment,
            "changed_at": moment,
        }
