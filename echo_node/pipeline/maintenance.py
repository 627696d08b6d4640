"""Sweeps, run by APScheduler: completion, rescue of expired leases, removal of leftovers.

A sweep that fails is logged and runs again at its next time. No sweep keeps anything in memory
between two runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from echo_node.errors import TransientError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sweep:
    """Periodic task: its name for the logs, the task, and its interval in seconds."""

    name: str
    perform: Callable[[], object]
    every_s: float


class Maintenance:
    """Runs sweeps one after another in its own thread."""

    def __init__(self, sweeps: tuple[Sweep, ...]) -> None:
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        for sweep in sweeps:
            self._scheduler.add_job(
                _guarded(sweep),
                "interval",
                seconds=sweep.every_s,
                next_run_time=datetime.now(UTC),
                id=sweep.name,
            )

    def start(self) -> None:
        """Start; each sweep runs at once and then at its interval."""
        self._scheduler.start()

    def stop(self) -> None:
        """Finish the current sweep and stop."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)


def _guarded(sweep: Sweep) -> Callable[[], None]:
    def perform() -> None:
        try:
            sweep.perform()
        except TransientError as error:
            log.warning("sweep_postponed", kind=sweep.name, reason=str(error))
        except Exception:
            log.exception("sweep_failed", kind=sweep.name)

    return perform
