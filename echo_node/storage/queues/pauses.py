"""Pauses: no new work is claimed, running work is finished, and intake continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, delete, exists, select

from echo_node.domain.ports import Clock
from echo_node.domain.work.kinds import steps_of
from echo_node.domain.work.pausable import Pausable
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.rows import insert_if_absent
from echo_node.storage.database.tables import Pause

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Paused:
    """Pause in effect.

    Attributes:
        what: work that is paused.
        reason: reason, for other operators.
        since: begin of the pause.
    """

    what: Pausable
    reason: str
    since: datetime


class Pauses:
    """Begins and ends pauses. Queues check `is_paused` in the statement that claims work.

    Args:
        database: database of the pauses.
        clock: source of time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, what: Pausable, reason: str) -> None:
        """Stop claims on this work. A pause that is in effect already stays as it is."""
        with self._database.write() as session:
            begun = insert_if_absent(session, Pause, what=what, reason=reason, since=self._clock.now())
        if begun:
            log.warning("paused", kind=what.value, reason=reason)

    def end(self, what: Pausable) -> bool:
        """Allow claims on this work again; return whether it was paused."""
        with self._database.write() as session:
            ended = session.scalar(delete(Pause).where(Pause.what == what).returning(Pause.what)) is not None
            for step in steps_of(what):
                notify(session, step.topic)
        if ended:
            log.warning("resumed", kind=what.value)
        return ended

    def present(self) -> Sequence[Paused]:
        """Return the pauses in effect, the oldest first."""
        with self._database.read() as session:
            rows = session.scalars(select(Pause).order_by(Pause.since)).all()
            return [Paused(Pausable(row.what), row.reason, row.since) for row in rows]


def is_paused(what: Pausable) -> ColumnElement[bool]:
    """Return the condition that this work is paused."""
    return exists().where(Pause.what == what)
