"""How workers and sweeps of a role run: threads beside it until it is told to stop, known by an identity."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from echo_node.processes import ProcessIdentity
from echo_node.settings import Settings

COMPLETION_EVERY_S = 0.1
LEFTOVERS_EVERY_S = 3600.0
GRACE_S = 40.0
"""How long a worker may take to finish what it has in hand; then it gives it back."""

_LONGEST_RESCUE_PAUSE_S = 5.0


@contextmanager
def identity_of(settings: Settings) -> Iterator[ProcessIdentity]:
    """Yield what this process is known by in its claims."""
    identity = ProcessIdentity(settings.node.data_dir / "run", settings.node.role.value)
    try:
        yield identity
    finally:
        identity.close()


@contextmanager
def maintained(sweeps: tuple[Any, ...]) -> Iterator[None]:
    """Repeat sweeps in a thread beside the block."""
    from echo_node.pipeline.maintenance import Maintenance

    maintenance = Maintenance(sweeps)
    maintenance.start()
    try:
        yield
    finally:
        maintenance.stop()


def rescue_pause_s(lease_s: float) -> float:
    """Return how often to look for claims whose lease is over."""
    return min(_LONGEST_RESCUE_PAUSE_S, lease_s / 4)


def work(workers: Sequence[Any], stop: threading.Event) -> None:
    """Run each worker in a thread until *stop* is set; those that do not finish in time give back."""
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
