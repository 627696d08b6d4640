"""The worker: claim → heartbeat → stage → what became of it, again and again until told to stop.

One of the four doors with a broad `except`: a stage that fails for a reason that nobody foresaw is
tried again a bounded number of times, and only the exception's class is kept.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Generic, Self

import structlog

from echo_node.domain.ports import Clock, Work, WorkQueue
from echo_node.domain.work.job import RetryPolicy
from echo_node.errors import LeaseLost, NotEligible, PermanentError, TransientError, Unavailable

log = structlog.get_logger()

_PATIENCE_S = 5.0
"""How long to leave a database, or an object store, alone that did not answer."""


class Worker(Generic[Work]):
    """Does one piece of work at a time.

    Args:
        kind: `draft` or `delivery`, for the logs.
        queue: where work comes from, and what became of it is recorded.
        stage: does the work and records its success.
        policy: when to give up, and how long to wait until then.
        holder: this worker's name in the queue; no other worker has it.
        heartbeat_s: how often a claim is renewed.
        poll_s: how often to look for work while there is none.
        clock: the time.
        randomness: for jitter.
        wait: returns when there may be work, when the event is set, or after so many seconds.
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
        self._current: Work | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until *stop* is set; work in hand is finished first."""
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
        """Do one piece of work if there is one; say whether there was.

        Raises:
            TransientError: the queue cannot be reached; a claim that was made expires and is rescued.
            Unavailable: what the work needs is away; it was given back.
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
        """Give back the work in hand, from another thread: what still becomes of it will not count."""
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
            self._queue.skip(work, str(refusal))
            self._say("work_skipped", work, str(refusal))
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
            self._dead_letter(work, f"{reason} (given up after {tries} tries)")
            return
        delay = self._policy.delay(tries, self._randomness)
        self._queue.retry(work, reason, self._clock.now() + delay)
        self._say("work_retried", work, reason, delay_s=round(delay.total_seconds(), 1))

    def _dead_letter(self, work: Work, reason: str) -> None:
        self._queue.dead_letter(work, reason)
        self._say("work_dead", work, reason)

    def _say(self, event: str, work: Work, reason: str, **more: float) -> None:
        lease = work.lease
        log.warning(event, kind=self._kind, job_id=lease.row_id, tries=lease.tries, reason=reason, **more)


class _Heartbeat(Generic[Work]):
    """Renews a claim in a thread of its own while the work is done.

    A renewal that fails is no reason to stop: the database decides at the end whose the work is.
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
