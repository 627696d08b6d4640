"""Work that is stopped for a while: nothing new is claimed, what runs is finished, intake goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, delete, exists, select

from echo_node.domain.ports import Clock
from echo_node.domain.work.pausable import Pausable
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import ANSWERS, COMMITMENTS, DELIVERIES, JOBS, PROMISES, notify
from echo_node.storage.database.rows import insert_if_absent
from echo_node.storage.database.tables import Pause

log = structlog.get_logger()

_OUTGOING = (DELIVERIES, COMMITMENTS, PROMISES, ANSWERS)


@dataclass(frozen=True, slots=True)
class Paused:
    """What is paused, why and since when."""

    what: Pausable
    reason: str
    since: datetime


class Pauses:
    """Begins and ends pauses; whoever claims work asks `is_paused` in the same statement."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, what: Pausable, reason: str) -> None:
        """Let nothing of this be claimed from now on; a pause that is there already stays as it is."""
        with self._database.write() as session:
            begun = insert_if_absent(session, Pause, what=what, reason=reason, since=self._clock.now())
        if begun:
            log.warning("paused", kind=what.value, reason=reason)

    def end(self, what: Pausable) -> bool:
        """Let it be claimed again; say whether it was paused."""
        with self._database.write() as session:
            ended = session.scalar(delete(Pause).where(Pause.what == what).returning(Pause.what)) is not None
            for topic in (JOBS,) if what is Pausable.DRAFTING else _OUTGOING:
                notify(session, topic)
        if ended:
            log.warning("resumed", kind=what.value)
        return ended

    def present(self) -> Sequence[Paused]:
        """Return what is paused."""
        with self._database.read() as session:
            rows = session.scalars(select(Pause).order_by(Pause.since)).all()
            return [Paused(Pausable(row.what), row.reason, row.since) for row in rows]


def is_paused(what: Pausable) -> ColumnElement[bool]:
    """Return the condition that this is paused."""
    return exists().where(Pause.what == what)
