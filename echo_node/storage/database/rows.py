"""What several ledgers and queues do to rows: a study's state, its jobs, what is inserted once.

Everyone who changes a study locks its row first and its job's or delivery's after it: one order, no
deadlock.
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
    """Change the state of a locked study, as the table allows.

    Raises:
        IllegalTransition: it does not; the transaction must not commit.
    """
    study.state = next_state(study.state, event)
    study.reason = reason
    study.changed_at = now


def enqueue(session: Session, study: Study, now: datetime) -> None:
    """Add the job that drafts a complete study's revision, its sender's turn after what it has waiting.

    Turns are virtual times of fair queueing: a sender's next study stands one turn behind its last one that
    waits, or beside the first that waits of anyone: who sends a hundred does not keep out who sends one.
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
    """Let a locked study, and its job if that still waits, be drafted before others."""
    study.urgent = True
    session.execute(
        update(Job).where(Job.study_id == study.id, Job.state == JobState.READY).values(precedence=URGENT)
    )


def lock_study(session: Session, study_id: int) -> Study:
    """Return the study's row, locked until the transaction ends."""
    return session.scalars(select(Study).where(Study.id == study_id).with_for_update()).one()


def supersede_jobs(session: Session, study_id: int, now: datetime) -> None:
    """Take the jobs of a study away from whoever has them."""
    session.execute(
        update(Job)
        .where(Job.study_id == study_id, Job.state.in_((JobState.READY, JobState.RUNNING, JobState.DEAD)))
        .values(state=JobState.SUPERSEDED, holder=None, lease_expires_at=None, changed_at=now)
    )


def insert_if_absent(session: Session, table: type[Base], **values: Any) -> bool:
    """Insert a row unless a unique constraint says that it is there already; say whether it was inserted."""
    connection = session.connection()
    statement = _insert_if_absent(table, connection.dialect.name)
    return connection.execute(statement, values).first() is not None


@cache
def _insert_if_absent(table: type[Base], dialect: str) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    rows = cast("Table", table.__table__)  # not of the class: a row is all that is wanted
    return insert(rows).on_conflict_do_nothing().returning(*rows.primary_key)
