"""Worker loop: claim → heartbeat → stage → outcome, repeated until stopped.

One of the doors with a broad `except`. If a stage raises an unexpected exception, the worker
retries it a bounded number of times and keeps only the exception's class as the reason.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Generic, Self

import structlog

from echo_node.domain.ports import Clock, Work, WorkQueue
from echo_node.domain.work.retry import RetryPolicy
from echo_node.errors import LeaseLost, NotEligible, PermanentError, TransientError, Unavailable

log = structlog.get_logger()

_PATIENCE_S = 5.0
"""Delay before the next call to a database or object store that did not answer, in seconds."""


class Worker(Generic[Work]):
    """Worker that performs one work item at a time.

    Args:
        kind: kind of work, for the logs.
        queue: queue of the work items and their outcomes.
        stage: callable that performs a work item and records its success.
        policy: number of tries, and delays between them.
        holder: name of this worker in the queue, unique among all workers.
        heartbeat_s: interval between renewals of a claim, in seconds.
        poll_s: interval between polls while there is no work, in seconds.
        clock: source of time.
        randomness: source of jitter.
        wait: callable that returns when there may be work, when the event is set, or after the
            given seconds.
        skip: callable that ends a work item that is not eligible; by default it becomes a dead
            letter.
    """

    def __init__(
        self,
        kind: str,
        queue: WorkQueue[Work],
        stage: Callable[[Work], None],
        policy: RetryPolicy,
        *,
        holder: str,
        heartbeat_s: float,
        poll_s: float,
        clock: Clock,
        randomness: random.Random,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
        skip: Callable[[Work, str], None] | None = None,
    ) -> None:
        self._kind = kind
        self._queue = queue
        self._stage = stage
        self._policy = policy
        self._holder = holder
        self._heartbeat_s = heartbeat_s
        self._poll_s = poll_s
        self._clock = clock
        self._randomness = randomness
        self._wait = wait
        self._skip = skip or queue.dead_letter
        self._current: Work | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until *stop* is set, and finish the current work item first."""
        while not stop.is_set():
            try:
                if not self.run_once():
                    self._wait(stop, self._poll_s)
            except TransientError as error:
                log.warning("queue_unavailable", kind=self._kind, reason=str(error))
                stop.wait(_PATIENCE_S)
            except Exception:
                log.exception("worker_failed", kind=self._kind)
                stop.wait(_PATIENCE_S)

    def run_once(self) -> bool:
        """Claim and perform one work item, if there is one. Return whether there was one.

        Raises:
            TransientError: the queue is unreachable; a claim already made expires, and the work is
                rescued.
            Unavailable: a resource that the work needs is unavailable; the claim was released.
        """
        work = self._queue.claim(self._holder)
        if work is None:
            return False
        self._current = work
        try:
            with _Heartbeat(self._queue, work, self._heartbeat_s):
                self._perform(work)
        except LeaseLost:
            log.warning("lease_lost", kind=self._kind, job_id=work.lease.row_id, attempt=work.lease.attempt)
        finally:
            self._current = None
        return True

    def abandon(self) -> None:
        """Release the current claim, from another thread; its outcome no longer counts."""
        work = self._current
        if work is not None:
            self._queue.release_claim(work)
            log.info("claim_released", kind=self._kind, job_id=work.lease.row_id)

    def _perform(self, work: Work) -> None:
        try:
            self._stage(work)
        except LeaseLost:
            raise
        except NotEligible as refusal:
            self._skip(work, str(refusal))
            self._log("work_skipped", work, str(refusal))
        except PermanentError as error:
            self._dead_letter(work, str(error))
        except Unavailable:
            self._queue.release_claim(work)
            raise
        except TransientError as error:
            self._retry_or_dead_letter(work, str(error))
        except Exception as error:
            log.exception("stage_failed", kind=self._kind, job_id=work.lease.row_id)
            self._retry_or_dead_letter(work, type(error).__name__)

    def _retry_or_dead_letter(self, work: Work, reason: str) -> None:
        tries = work.lease.tries
        if self._policy.is_exhausted(tries):
            self._dead_letter(work, f"{reason} (gave up after {tries} tries)")
            return
        delay = self._policy.delay(tries, self._randomness)
        self._queue.retry(work, reason, self._clock.now() + delay)
        self._log("work_retried", work, reason, delay_s=round(delay.total_seconds(), 1))

    def _dead_letter(self, work: Work, reason: str) -> None:
        self._queue.dead_letter(work, reason)
        self._log("work_dead", work, reason)

    def _log(self, event: str, work: Work, reason: str, **more: float) -> None:
        lease = work.lease
        log.warning(event, kind=self._kind, job_id=lease.row_id, tries=lease.tries, reason=reason, **more)


class _Heartbeat(Generic[Work]):
    """Renews a claim in its own thread while a work item is performed.

    The work continues if a renewal fails: at its end, the database decides which worker holds the
    claim.
    """

    def __init__(self, queue: WorkQueue[Work], work: Work, every_s: float) -> None:
        self._queue = queue
        self._work = work
        self._every_s = every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(self._every_s):
            try:
                self._queue.renew(self._work)
            except LeaseLost:
                return
            except TransientError as error:
                log.warning("heartbeat_missed", job_id=self._work.lease.row_id, reason=str(error))
