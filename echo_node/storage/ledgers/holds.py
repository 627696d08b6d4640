"""Holds: studies that get no draft until an operator decides what contradicts what.

A hold is open while its study is held, or was withdrawn because of it. It ends when an operator
resolves it or asks for a new draft, and when a new object arrives for a held study: the study is
then checked again.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from echo_node.domain.work.hold import HoldEnding
from echo_node.domain.work.lifecycle import StudyEvent
from echo_node.domain.work.withdrawal import IdentityConflict
from echo_node.storage.database.rows import move
from echo_node.storage.database.tables import Document, Hold, Study
from echo_node.storage.ledgers.withdrawn import standing_drafts, withdraw


def hold(session: Session, study: Study, now: datetime, conflict: IdentityConflict) -> bool:
    """Hold a locked study, and withdraw its standing drafts; return whether there were any."""
    session.add(
        Hold(
            study_id=study.id,
            revision=study.revision,
            explanation=conflict.explanation,
            attributes=list(conflict.attributes),
            newer=list(conflict.newer),
            older=list(conflict.older),
            since=now,
        )
    )
    standing = standing_drafts(study.id).with_only_columns(Document.id).limit(1)
    if session.scalar(standing) is None:
        move(study, StudyEvent.CONTRADICTED, now, conflict.explanation)
        return False
    return withdraw(session, study, now, conflict.reason, conflict.explanation)


def open_hold(session: Session, study_id: int) -> Hold | None:
    """Return the open hold of a study, if there is one."""
    return session.scalars(
        select(Hold)
        .where(Hold.study_id == study_id, Hold.ending.is_(None))
        .execution_options(populate_existing=True)
    ).one_or_none()


def end_hold(session: Session, study_id: int, ending: HoldEnding, by: str, now: datetime) -> None:
    """End the open hold of a locked study, if there is one."""
    session.execute(
        update(Hold)
        .where(Hold.study_id == study_id, Hold.ending.is_(None))
        .values(ending=ending, ended_by=by, ended_at=now)
    )
