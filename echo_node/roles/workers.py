"""Threads of a role: its workers and sweeps. Identity of its process in the queues."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from echo_node.processes import ProcessIdentity
from echo_node.settings import Settings

if TYPE_CHECKING:
    from echo_node.domain.ports import Work, WorkQueue
    from echo_node.pipeline.maintenance import Sweep
    from echo_node.pipeline.worker import Worker
    from echo_node.storage.database.notifications import Waiter
    from echo_node.storage.queues.work_queue import QueueContext

COMPLETION_EVERY_S = 0.1
LEFTOVERS_EVERY_S = 3600.0
GRACE_S = 40.0
"""Time to finish a work item after the stop, in seconds; then its claim is released."""

_LONGEST_RESCUE_PAUSE_S = 5.0


class RunningWorker(Protocol):
    """Worker of any kind of work."""

    def run(self, stop: threading.Event) -> None:
        """Work until *stop* is set."""
        ...

    def abandon(self) -> None:
        """Release the claim on the current work item."""
        ...


class RecoverableQueue(Protocol):
    """Queue of any kind of work, whose claims can be recovered from lost workers."""

    def reclaim_from(self, holders: str) -> None:
        """Reclaim the work of workers whose names begin so, because they are dead."""
        ...

    def rescue(self) -> int:
        """Reclaim the work of workers whose lease has expired; return the number of work items."""
        ...


@contextmanager
def identity_of(settings: Settings) -> Iterator[ProcessIdentity]:
    """Yield the identity of this process in its claims."""
    identity = ProcessIdentity(settings.node.data_dir / "run", settings.node.role.value)
    try:
        yield identity
    finally:
        identity.close()


def worker_of(
    kind: str,
    queue: WorkQueue[Work],
    stage: Callable[[Work], None],
    context: QueueContext,
    waiter: Waiter,
    *,
    holder: str,
    heartbeat_s: float,
    poll_s: float,
    skip: Callable[[Work, str], None] | None = None,
) -> Worker[Work]:
    """Return a worker with the clock, the retry policy and the jitter of its queue."""
    from echo_node.pipeline.worker import Worker

    return Worker(
        kind,
        queue,
        stage,
        context.policy,
        holder=holder,
        heartbeat_s=heartbeat_s,
        poll_s=poll_s,
        clock=context.clock,
        randomness=context.randomness,
        wait=waiter.wait,
        skip=skip,
    )


@contextmanager
def maintained(sweeps: tuple[Sweep, ...]) -> Iterator[None]:
    """Repeat sweeps in a thread while the block runs."""
    from echo_node.pipeline.maintenance import Maintenance

    maintenance = Maintenance(sweeps)
    maintenance.start()
    try:
        yield
    finally:
        maintenance.stop()


def rescue_pause_s(lease_s: float) -> float:
    """Return the interval between searches for expired leases, in seconds."""
    return min(_LONGEST_RESCUE_PAUSE_S, lease_s / 4)


def run_workers(workers: Sequence[RunningWorker], stop: threading.Event) -> None:
    """Run each worker in a thread until *stop* is set. Late workers have their claims released."""
    threads = [
        threading.Thread(target=worker.run, args=(stop,), name=f"worker-{number}", daemon=True)
        for number, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    for worker, thread in zip(workers, threads, strict=True):
        thread.join(GRACE_S)
        if thread.is_alive():
            worker.abandon()
