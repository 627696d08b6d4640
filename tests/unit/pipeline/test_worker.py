import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from support.studies import SetClock

from echo_node.domain.work.job import DraftJob, Lease
from echo_node.domain.work.retry import RetryPolicy
from echo_node.errors import EchoNodeError, LeaseLost, NotEligible, PermanentError, TransientError
from echo_node.pipeline.worker import Worker


def _job(tries: int = 1) -> DraftJob:
    return DraftJob(Lease(7, tries, tries, "me", datetime(2026, 1, 1, tzinfo=UTC)), 3, "1.2.3", 1)


class Queue:
    """Holds jobs in memory and records what was reported (the real queues have their own tests)."""

    def __init__(self, *jobs: DraftJob) -> None:
        self.jobs = list(jobs)
        self.said: list[tuple[str, ...]] = []
        self.retried_at: datetime | None = None
        self.renewals = 0
        self.renewed = threading.Event()
        self.error: EchoNodeError | None = None

    def claim(self, holder: str) -> DraftJob | None:
        if self.error:
            raise self.error
        return self.jobs.pop(0) if self.jobs else None

    def renew(self, work: DraftJob) -> None:
        self.renewals += 1
        if self.renewals >= 3:
            self.renewed.set()
        if self.renewals == 1:
            raise TransientError("the database is away for a moment")

    def retry(self, work: DraftJob, reason: str, at: datetime) -> None:
        self.retried_at = at
        self.said.append(("retry", reason))

    def dead_letter(self, work: DraftJob, reason: str) -> None:
        self.said.append(("dead_letter", reason))

    def skip(self, work: DraftJob, reason: str) -> None:
        self.said.append(("skip", reason))

    def release_claim(self, work: DraftJob) -> None:
        self.said.append(("release_claim",))


def _worker(queue: Queue, stage: Callable[[DraftJob], None], heartbeat_s: float = 60) -> Worker[DraftJob]:
    return Worker(
        "draft",
        queue,
        stage,
        RetryPolicy(3, 10, 100),
        holder="me",
        heartbeat_s=heartbeat_s,
        poll_s=0.01,
        clock=SetClock(),
        randomness=random.Random(1),
        skip=queue.skip,
    )


def _raise(error: Exception) -> Callable[[DraftJob], None]:
    def stage(_: DraftJob) -> None:
        raise error

    return stage


def test_a_stage_that_returns_has_recorded_its_success_itself() -> None:
    queue = Queue(_job())
    done: list[DraftJob] = []
    assert _worker(queue, done.append).run_once()
    assert (done, queue.said) == ([_job()], [])
    assert not _worker(queue, done.append).run_once()


@pytest.mark.parametrize(
    ("error", "tries", "said"),
    [
        (NotEligible("not a chest"), 1, ("skip", "not a chest")),
        (PermanentError("no such pixels"), 1, ("dead_letter", "no such pixels")),
        (TransientError("out of memory"), 1, ("retry", "out of memory")),
        (TransientError("out of memory"), 3, ("dead_letter", "out of memory (gave up after 3 tries)")),
        (ZeroDivisionError("DOE^JOHN"), 1, ("retry", "ZeroDivisionError")),
        (ZeroDivisionError("DOE^JOHN"), 3, ("dead_letter", "ZeroDivisionError (gave up after 3 tries)")),
    ],
)
def test_the_class_of_the_error_decides(error: Exception, tries: int, said: tuple[str, str]) -> None:
    queue = Queue(_job(tries))
    _worker(queue, _raise(error)).run_once()
    assert queue.said == [said]


def test_a_retry_is_put_off_by_the_policy() -> None:
    queue = Queue(_job(2))
    _worker(queue, _raise(TransientError("busy"))).run_once()
    assert queue.retried_at is not None
    assert timedelta(seconds=10) <= queue.retried_at - SetClock().now() <= timedelta(seconds=20)


def test_a_lost_lease_ends_the_work_without_a_word() -> None:
    queue = Queue(_job(), _job())
    worker = _worker(queue, _raise(LeaseLost("taken over")))
    assert worker.run_once()
    assert worker.run_once()
    assert queue.said == []


def test_the_claim_is_renewed_while_the_work_is_done_and_a_missed_beat_does_no_harm() -> None:
    queue = Queue(_job())

    def long_work(_: DraftJob) -> None:
        assert queue.renewed.wait(10)

    _worker(queue, long_work, heartbeat_s=0.01).run_once()
    assert queue.renewals >= 3
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_work_in_hand_is_finished_before_stopping() -> None:
    stop, queue = threading.Event(), Queue(_job(), _job())
    finished = []

    def stage(job: DraftJob) -> None:
        stop.set()
        finished.append(job)

    _worker(queue, stage).run(stop)
    assert len(finished) == len(queue.jobs) == 1


def test_work_that_takes_too_long_is_given_back() -> None:
    queue, begun, end = Queue(_job()), threading.Event(), threading.Event()

    def endless(_: DraftJob) -> None:
        begun.set()
        end.wait(10)

    worker = _worker(queue, endless)
    thread = threading.Thread(target=worker.run_once)
    thread.start()
    assert begun.wait(10)
    worker.abandon()
    end.set()
    thread.join()
    worker.abandon()
    assert queue.said == [("release_claim",)]


def test_a_queue_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_node.pipeline.worker._PATIENCE_S", 0.01)
    stop, queue = threading.Event(), Queue(_job())
    queue.error = TransientError("away")
    worker = _worker(queue, lambda _: stop.set())
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    queue.error = None
    thread.join(10)
    assert stop.is_set()
