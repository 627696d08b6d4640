"""Faults of database and time: PostgreSQL restarts under load, workers race, the clock jumps."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select
from support import postgresql

from echo_node.domain.work.job import DraftJob, JobState
from echo_node.domain.work.kinds import JOB
from echo_node.domain.work.retry import RetryPolicy
from echo_node.errors import LeaseLost
from echo_node.storage.database.tables import Document
from echo_node.storage.queues.drafting_jobs import JobQueue
from echo_node.storage.queues.work_queue import QueueContext
from echo_node.wiring.storage import SystemClock
from faults.drafting import complete_now, receive, worker
from faults.receiving import receiver
from faults.world import Modalities, Tally, audit, check, storage_of, study_uids


def the_database_restarts(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """PostgreSQL stops at once and starts again while three senders send; refused is not stored."""
    tally, acknowledged = Tally(), dict[str, str]()
    with postgresql.restartable() as (url, restart):
        with receiver(folder, f"database.url={url}") as node:
            node.start("receive")
            for trial in range(trials):
                senders = Modalities(node.port, study_uids(f"1.3.1.{trial}", images=5))
                senders.wait_for(5)
                time.sleep(randomness.uniform(0, 0.5))
                restart()
                before = len(senders.acknowledged)
                senders.wait_for(before + 5, 120)
                acknowledged |= senders.stop()
                check(set(senders.refused) <= {0x0110}, f"refused with {dict(senders.refused)}")
                tally.trials += 1
            check(node.stop() == 0, "the receiver did not stop in order")
        audit(node.data_dir, acknowledged, url)
    tally.acknowledged = len(acknowledged)
    return tally


def workers_race(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """Eight workers claim from one queue, and some lose their lease: no job is finished twice."""
    tally, data_dir = Tally(), folder / "data"
    for trial in range(trials):
        with storage_of(data_dir) as storage:
            storage.upgrade()
            receive(storage, [f"1.3.2.{trial}.{number}" for number in range(16)])
            complete_now(storage)
            clock = _Shifted()
            race = _Race()

            def work(number: int, clock: "_Shifted" = clock, race: "_Race" = race) -> None:
                queue = JobQueue(
                    QueueContext(
                        storage.database, clock, RetryPolicy(1000, 0.01, 0.02), 0.2, random.Random(number)
                    ),
                    1000,
                )
                choice = random.Random(number)
                while True:
                    job = queue.claim(f"racer{number}")
                    if job is None:
                        queue.rescue()
                        if not storage.queries.list_work(JOB, JobState.READY) + storage.queries.list_work(
                            JOB, JobState.RUNNING
                        ):
                            return
                        time.sleep(0.01)
                        continue
                    if choice.random() < 0.3:
                        time.sleep(0.3)  # its lease runs out
                    race.finish(queue, job)

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(work, range(8)))
        check(set(race.finished.values()) == {1}, f"finished {dict(race.finished)}")
        check(len(race.finished) == 16, f"only {len(race.finished)} of 16 were finished")
        tally.trials += 1
    return tally


def the_clock_jumps(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """An hour ahead and back while studies are drafted: each is drafted once all the same."""
    tally, data_dir = Tally(), folder / "data"
    acknowledged: dict[str, str] = {}
    clock = _Shifted()
    for trial in range(trials):
        with storage_of(data_dir) as storage:
            storage.upgrade()
            clock.shift = timedelta(seconds=randomness.uniform(-3600, 3600))
            for part in (storage.studies, storage.jobs, storage.drafts, storage.deliveries):
                part._clock = clock
            acknowledged |= receive(storage, [f"1.3.3.{trial}.{number}" for number in range(4)])
            complete_now(storage)
            drafting = worker(storage, f"jumpy{trial}")
            job = storage.jobs.claim("frozen")  # one whose worker is lost over the jump
            clock.shift += timedelta(seconds=randomness.uniform(-1800, 7200))
            storage.jobs.rescue()
            while drafting.run_once():
                pass
            if job is not None:
                clock.shift += timedelta(hours=3)
                storage.jobs.rescue()
                while drafting.run_once():
                    pass
        tally.trials += 1
    with storage_of(data_dir) as storage, storage.database.read() as session:
        documents = session.scalar(select(func.count()).select_from(Document))
    check(documents == 4 * trials, f"{documents} drafts of {4 * trials} studies")
    audit(data_dir, acknowledged)
    tally.acknowledged = len(acknowledged)
    return tally


class _Shifted:
    """The machine's clock, put forward or back."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.shift


class _Race:
    """Counts how often each study was finished."""

    def __init__(self) -> None:
        self.finished: Counter[int] = Counter()
        self._lock = threading.Lock()

    def finish(self, queue: JobQueue, job: DraftJob) -> None:
        try:
            queue.skip(job, "done")
        except LeaseLost:
            return
        with self._lock:
            self.finished[job.study_id] += 1
