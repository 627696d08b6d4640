"""Order of drafting: a study's job gets its place in the queue when it is added.

Urgent studies come first. Otherwise the senders take turns, as in fair queueing. The caller has
locked the study.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from echo_node.domain.work.job import JobState
from echo_node.storage.database.tables import Job, Study

URGENT, ROUTINE = 0, 1


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


def supersede_jobs(session: Session, study_id: int, now: datetime) -> None:
    """End the jobs of a study, even those that a worker has claimed."""
    session.execute(
        update(Job)
        .where(Job.study_id == study_id, Job.state.in_((JobState.READY, JobState.RUNNING, JobState.DEAD)))
        .values(state=JobState.SUPERSEDED, holder=None, lease_expires_at=None, changed_at=now)
    )
