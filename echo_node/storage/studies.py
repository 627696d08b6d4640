"""Studies: instances are recorded, studies become complete, and every state changes by the table.

Everyone who changes a study locks its row first and its job's or delivery's after it: one order, no
deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

import structlog
from sqlalchemy import Executable, Table, bindparam, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from echo_node.domain.job import JobState
from echo_node.domain.lifecycle import StudyEvent, StudyState, next_state
from echo_node.domain.ports import Clock, StoreOutcome
from echo_node.domain.study import InstanceFile, InstanceIdentity, ReceivedInstance
from echo_node.storage.bell import JOBS, ring
from echo_node.storage.engine import Database
from echo_node.storage.group_commit import GroupCommit
from echo_node.storage.tables import Base, Conflict, Instance, Job, Study

log = structlog.get_logger()

URGENT, ROUTINE = 0, 1
_BATCH = 100

# Every image that comes in asks these: building a statement anew takes longer than the database does.
_STUDY_BY_UID = select(Study).where(Study.study_instance_uid == bindparam("uid")).with_for_update()
_KEPT_BY_UID = (
    select(Instance.id, Instance.data_set_sha256, Instance.transfer_syntax_uid, Study.study_instance_uid)
    .join(Study, Study.id == Instance.study_id)
    .where(Instance.sop_instance_uid == bindparam("uid"))
)


class Studies:
    """The ledger of studies and instances (domain.ports.IntakeLedger and CompletionLedger).

    Args:
        database: where it is kept.
        clock: the time.
        idle_s: how long a study from this calling AE title must be idle to be complete.
        forced_s: how long after a revision's first instance it is complete, whatever arrives.
        is_urgent: whether studies from this calling AE title are.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        idle_s: Callable[[str], float],
        forced_s: float,
        is_urgent: Callable[[str], bool] = lambda calling: False,
    ) -> None:
        self._database = database
        self._commits = GroupCommit(database)
        self._clock = clock
        self._idle_s = idle_s
        self._forced = timedelta(seconds=forced_s)
        self._is_urgent = is_urgent

    def classify(self, identity: InstanceIdentity, digest: str) -> StoreOutcome:
        """Say what an instance with this data-set digest is to the node, as of now."""
        with self._database.read() as session:
            return _classify(session, identity, digest)

    def record(self, received: ReceivedInstance, file: InstanceFile, expected: StoreOutcome) -> bool:
        """Commit the instance (or the conflict) and move the study; false if it is not *expected*."""
        now = self._clock.now()
        add = _add_conflict if expected is StoreOutcome.CONFLICT else self._add_instance
        try:
            study_id, revision = self._commits.run(
                received.identity.study_instance_uid, lambda session: add(session, received, file, now)
            )
        except _NotAsExpected:
            return False
        if expected is StoreOutcome.CONFLICT:
            log.warning(
                "instance_set_aside",
                study_id=study_id,
                revision=revision,
                peer=received.calling_ae_title,
                reason="other content under a known SOP Instance UID",
            )
        else:
            log.info("instance_recorded", study_id=study_id, revision=revision, outcome=expected.value)
        return True

    def note_resend(self, received: ReceivedInstance) -> None:
        """Give the instance's study, if it is still receiving, the time that a new instance gives."""
        due_at = self._clock.now() + timedelta(seconds=self._idle_s(received.calling_ae_title))
        with self._database.write() as session:
            session.execute(
                update(Study)
                .where(
                    Study.study_instance_uid == received.identity.study_instance_uid,
                    Study.state == StudyState.RECEIVING,
                    Study.due_at < due_at,
                )
                .values(due_at=due_at)
            )

    def refers_to(self, file: InstanceFile) -> bool:
        """Say whether a row names this file."""
        with self._database.read() as session:
            path = str(file.path)
            instance = session.scalar(select(Instance.id).where(Instance.path == path))
            conflict = session.scalar(select(Conflict.id).where(Conflict.path == path))
            return instance is not None or conflict is not None

    def complete_due(self) -> Sequence[int]:
        """Complete every study whose time has come and enqueue its job in the same transaction."""
        completed: list[int] = []
        while batch := self._complete_batch(self._clock.now()):
            completed += batch
        return completed

    def _complete_batch(self, now: datetime) -> list[int]:
        is_due = (Study.state == StudyState.RECEIVING, or_(Study.due_at <= now, Study.force_at <= now))
        with self._database.read() as session:
            if session.scalar(select(Study.id).where(*is_due).limit(1)) is None:
                return []
        with self._database.write() as session:
            due = select(Study).where(*is_due).order_by(Study.due_at).limit(_BATCH)
            studies = session.scalars(due.with_for_update(skip_locked=True)).all()
            for study in studies:
                move(study, StudyEvent.COMPLETED, now)
                enqueue(session, study, now)
            ring(session, JOBS)
            completed = [(study.id, study.revision) for study in studies]
        for study_id, revision in completed:
            log.info("study_complete", study_id=study_id, revision=revision)
        return [study_id for study_id, _ in completed]

    def _add_instance(
        self, session: Session, received: ReceivedInstance, file: InstanceFile, now: datetime
    ) -> tuple[int, int]:
        study = self._study_of(session, received, now)
        if _classify(session, received.identity, file.data_set_sha256) is not StoreOutcome.STORED:
            raise _NotAsExpected
        self._arrive(session, study, received, now)
        added = insert_if_absent(
            session,
            Instance,
            study_id=study.id,
            revision=study.revision,
            series_instance_uid=received.identity.series_instance_uid,
            sop_instance_uid=received.identity.sop_instance_uid,
            sop_class_uid=received.identity.sop_class_uid,
            transfer_syntax_uid=received.identity.transfer_syntax_uid,
            data_set_sha256=file.data_set_sha256,
            size_bytes=file.size_bytes,
            path=str(file.path),
            calling_ae_title=received.calling_ae_title,
            received_at=now,
        )
        if not added:
            raise _NotAsExpected
        return study.id, study.revision

    def _study_of(self, session: Session, received: ReceivedInstance, now: datetime) -> Study:
        """Return the instance's study, locked; it is made if this is its first instance."""
        uid = {"uid": received.identity.study_instance_uid}
        study = session.scalars(_STUDY_BY_UID, uid).one_or_none()
        if study is not None:
            return study
        insert_if_absent(
            session,
            Study,
            study_instance_uid=received.identity.study_instance_uid,
            state=StudyState.RECEIVING,
            revision=1,
            calling_ae_title=received.calling_ae_title,
            due_at=now,
            force_at=now + self._forced,
            received_at=now,
            changed_at=now,
        )
        return session.scalars(_STUDY_BY_UID, uid).one()

    def _arrive(self, session: Session, study: Study, received: ReceivedInstance, now: datetime) -> None:
        """Let a new instance begin a new revision if need be, and move the study's due time forward.

        A withdrawn study keeps it, and waits for an operator.
        """
        calling_ae_title = received.calling_ae_title
        if study.state in {StudyState.WITHDRAWING, StudyState.WITHDRAWN}:
            study.received_at = now
            move(study, StudyEvent.INSTANCE_ARRIVED, now, study.reason)
            return
        if study.state is not StudyState.RECEIVING:
            study.revision += 1
            study.force_at = now + self._forced
            study.due_at = now
            supersede_jobs(session, study.id, now)
        study.due_at = max(study.due_at, now + timedelta(seconds=self._idle_s(calling_ae_title)))
        study.received_at = now
        study.calling_ae_title = calling_ae_title
        study.urgent |= received.urgent or self._is_urgent(calling_ae_title)
        move(study, StudyEvent.INSTANCE_ARRIVED, now)


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


def hurry(session: Session, study: Study) -> None:
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
    statement = _insert_if_absent(table, session.get_bind().dialect.name)
    return session.execute(statement, values).first() is not None


@cache
def _insert_if_absent(table: type[Base], dialect: str) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    rows = cast("Table", table.__table__)  # not of the class: a row is all that is wanted
    return insert(rows).on_conflict_do_nothing().returning(*rows.primary_key)


class _NotAsExpected(Exception):
    """Another transaction came first: nothing of this one may stay."""


def _classify(session: Session, identity: InstanceIdentity, digest: str) -> StoreOutcome:
    kept = session.execute(_KEPT_BY_UID, {"uid": identity.sop_instance_uid}).one_or_none()
    if kept is None:
        return StoreOutcome.STORED
    if kept.data_set_sha256 == digest:
        return StoreOutcome.DUPLICATE
    same_study = kept.study_instance_uid == identity.study_instance_uid
    if same_study and kept.transfer_syntax_uid != identity.transfer_syntax_uid:
        return StoreOutcome.DUPLICATE  # the same image, encoded otherwise: the first is kept
    aside = select(Conflict.id).where(Conflict.instance_id == kept.id, Conflict.data_set_sha256 == digest)
    return StoreOutcome.CONFLICT if session.scalar(aside) is None else StoreOutcome.DUPLICATE


def _add_conflict(
    session: Session, received: ReceivedInstance, file: InstanceFile, now: datetime
) -> tuple[int, int]:
    if _classify(session, received.identity, file.data_set_sha256) is not StoreOutcome.CONFLICT:
        raise _NotAsExpected
    kept = session.execute(
        select(Instance.id, Instance.study_id, Instance.revision).where(
            Instance.sop_instance_uid == received.identity.sop_instance_uid
        )
    ).one()
    added = insert_if_absent(
        session,
        Conflict,
        instance_id=kept.id,
        study_instance_uid=received.identity.study_instance_uid,
        data_set_sha256=file.data_set_sha256,
        size_bytes=file.size_bytes,
        path=str(file.path),
        calling_ae_title=received.calling_ae_title,
        received_at=now,
    )
    if not added:
        raise _NotAsExpected
    return kept.study_id, kept.revision
