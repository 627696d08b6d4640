"""Row operations that ledgers and queues share: study state, jobs, idempotent inserts.

Lock order: the study's row first, then the row of its job or delivery. One order everywhere
prevents deadlocks.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import Executable, Table, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from echo_node.domain.work.job import JobState
from echo_node.domain.work.lifecycle import StudyEvent, next_state
from echo_node.storage.database.tables import Base, Job, Study

URGENT, ROUTINE = 0, 1


def move(study: Study, event: StudyEvent, now: datetime, reason: str | None = None) -> None:
    """Change the state of a locked study, by the table of transitions.

    Raises:
        IllegalTransition: the table has no such transition. The transaction must not commit.
    """
    study.state = next_state(study.state, event)
    study.reason = reason
    study.changed_at = now


def enqueue(session: Session, study: Study, now: datetime) -> None:
    """Add the job that drafts the current revision of a complete study.

    A turn is a virtual time, as in fair queueing. The new job gets the turn after its sender's last
    waiting job, or the lowest turn of any waiting job, whichever is later. A sender of a hundred
    studies therefore cannot hold up a sender of one.
    """
    waiting = select(func.min(Job.turn)).where(Job.state == JobState.READY)
    own = select(func.max(Job.turn)).where(
        Job.state == JobState.READY, Job.calling_ae_title == study.calling_ae_title
    )
    first, last = session.scalar(waiting), session.scalar(own)
    if first is None:
        first = (session.scalar(select(func.max(Job.turn))) or 0) + 1
    session.add(
        Job(
            study_id=study.id,
            revision=study.revision,
            state=JobState.READY,
            precedence=URGENT if study.urgent else ROUTINE,
            turn=first if last is None else max(first, last + 1),
            calling_ae_title=study.calling_ae_title,
            available_at=now,
            created_at=now,
            changed_at=now,
        )
    )


def prioritise(session: Session, study: Study) -> None:
    """Draft a locked study, and its job if it still waits, before others."""
    study.urgent = True
    session.execute(
        update(Job).where(Job.study_id == study.id, Job.state == JobState.READY).values(precedence=URGENT)
    )


def lock_study(session: Session, study_id: int) -> Study:
    """Return the study's row, locked until the transaction ends."""
    return session.scalars(select(Study).where(Study.id == study_id).with_for_update()).one()


def supersede_jobs(session: Session, study_id: int, now: datetime) -> None:
    """End the jobs of a study, even those that a worker has claimed."""
    session.execute(
        update(Job)
        .where(Job.study_id == study_id, Job.state.in_((JobState.READY, JobState.RUNNING, JobState.DEAD)))
        .values(state=JobState.SUPERSEDED, holder=None, lease_expires_at=None, changed_at=now)
    )


def insert_if_absent(session: Session, table: type[Base], **values: Any) -> bool:
    """Insert a row, unless its unique key exists. Return whether it was inserted."""
    connection = session.connection()
    statement = _insert_if_absent(table, connection.dialect.name)
    return connection.execute(statement, values).first() is not None


@cache
def _insert_if_absent(table: type[Base], dialect: str) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    rows = cast("Table", table.__table__)  # into the table, not the mapped class: a row is enough
    return insert(rows).on_conflict_do_nothing().returning(*rows.primary_key)
