"""The sweeps, run by APScheduler: completion, rescue of expired leases, clearing of leftovers.

A sweep that fails is logged and comes again; none keeps anything in memory between two runs.
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
    """Something to be done every so often: its name for the logs, what, and how often."""

    name: str
    perform: Callable[[], object]
    every_s: float


class Maintenance:
    """Runs sweeps one after another in a thread of its own."""

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
        """Begin; each sweep runs at once and then in its rhythm."""
        self._scheduler.start()

    def stop(self) -> None:
        """Finish the sweep in hand and end."""
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
