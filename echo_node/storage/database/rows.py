"""Row operations that ledgers and queues share: study state, jobs, idempotent inserts.

Lock order: the study's row first, then the row of its job or delivery. One order everywhere
prevents deadlocks.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import Executable, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from echo_node.domain.work.lifecycle import StudyEvent, next_state
from echo_node.storage.database.tables import Base, Study


def move(study: Study, event: StudyEvent, now: datetime, reason: str | None = None) -> None:
    """Change the state of a locked study, by the table of transitions.

    Raises:
        IllegalTransition: the table has no such transition. The transaction must not commit.
    """
    study.state = next_state(study.state, event)
    study.reason = reason
    study.changed_at = now


def lock_study(session: Session, study_id: int) -> Study:
    """Return the study's row, locked until the transaction ends."""
    return session.scalars(select(Study).where(Study.id == study_id).with_for_update()).one()


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
