"""Resolutions: which of the objects that contradict each other belongs to the study.

What is decided holds for good: an excluded object keeps its row and its file, and the same object
never holds the study again. A new draft is made in a new revision. An object that takes the place
of another may belong to another study, which then gets a new image.

Lock order: all studies of one resolution, by their Study Instance UIDs, as arrivals lock theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.orm import Session

from echo_node.domain.ports import Clock
from echo_node.domain.studies.identity import OnConflict
from echo_node.domain.studies.study import InstanceIdentity, ReceivedInstance
from echo_node.domain.work.hold import Decision, HoldEnding
from echo_node.domain.work.kinds import DRAFTING
from echo_node.domain.work.lifecycle import StudyEvent
from echo_node.domain.work.withdrawal import IdentityConflict
from echo_node.errors import PermanentError
from echo_node.storage.database.drafting_order import enqueue
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.rows import lock_study, move
from echo_node.storage.database.tables import Hold, Instance, SetAsideInstance, Study
from echo_node.storage.ledgers.arrivals import Arrivals
from echo_node.storage.ledgers.holds import end_hold, hold, open_hold

log = structlog.get_logger()

_EXCHANGED = ("data_set_sha256", "size_bytes", "path", "calling_ae_title", "received_at", "removed_at")
_UIDS = ("series_instance_uid", "sop_class_uid", "transfer_syntax_uid")


class Resolutions:
    """Decides about contradictions, as an operator or a peer's `on_conflict` says.

    Args:
        database: database of the rows.
        clock: source of time.
        arrivals: enters an object that moves into another study.
        on_conflict: function from a calling AE title to its peer's `on_conflict`.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        arrivals: Arrivals,
        on_conflict: Callable[[str], OnConflict] = lambda _: OnConflict.HOLD,
    ) -> None:
        self._database = database
        self._clock = clock
        self._arrivals = arrivals
        self._on_conflict = on_conflict

    def resolve(self, study_id: int, decision: Decision, by: str) -> int:
        """Resolve the hold of a study, and draft it again; return the new revision.

        Raises:
            PermanentError: there is no such study, it is not held, or no newer object can replace
                an older one.
        """
        now = self._clock.now()
        with self._database.write() as session:
            if session.scalar(select(Study.id).where(Study.id == study_id)) is None:
                raise PermanentError(f"there is no study {study_id}")
            held = open_hold(session, study_id)
            study = lock_with_others(session, study_id, held.newer if held else ())
            is_same = held is not None and (again := open_hold(session, study_id)) and again.id == held.id
            if held is None or not is_same:
                raise PermanentError(f"study {study_id} is {study.state}, and not held: nothing to resolve")
            if decision is Decision.REPLACE and not held.newer:
                raise PermanentError(
                    f"study {study_id} has no newer object that could replace an older one: have it sent "
                    f"again with correct values, or check it again with `queue resolve {study_id} keep`"
                )
            self._decide(session, study, held, decision, by, now)
            revision = study.revision
        log.info("study_resolved", study_id=study_id, revision=revision, outcome=decision.value)
        return revision

    def hold(self, session: Session, study: Study, now: datetime, conflict: IdentityConflict) -> bool:
        """Hold a locked study, unless its peers' settings decide; return whether drafts stood.

        The caller has locked the study with `lock_with_others`.
        """
        had_draft = hold(session, study, now, conflict)
        if self._is_decided(session, study.id, conflict.newer):
            session.flush()
            held = open_hold(session, study.id)
            if held is not None:
                self._decide(session, study, held, Decision.REPLACE, "", now)
        return had_draft

    def _is_decided(self, session: Session, study_id: int, newer: Collection[str]) -> bool:
        """Return whether everything newer was set aside and comes from peers that replace."""
        set_aside = {
            row.data_set_sha256: row.calling_ae_title
            for row in session.scalars(unresolved(study_id).where(_is_one_of(SetAsideInstance, newer)))
        }
        return bool(newer) and all(
            each in set_aside and self._on_conflict(set_aside[each]) is OnConflict.REPLACE for each in newer
        )

    def _decide(
        self, session: Session, study: Study, held: Hold, decision: Decision, by: str, now: datetime
    ) -> None:
        """Settle what contradicts, end the hold, and enqueue the study as a new revision."""
        study.revision += 1
        if decision is Decision.KEEP:
            _settle(session, study.id, held.newer, decision)
            _exclude(session, study.id, held.newer, now)
        else:
            self._replace(session, study, held, now)
        end_hold(session, study.id, HoldEnding(decision.value), by, now)
        move(study, StudyEvent.RESOLVED, now)
        enqueue(session, study, now)
        notify(session, DRAFTING.topic)

    def _replace(self, session: Session, study: Study, held: Hold, now: datetime) -> None:
        """Exclude what is older, and give each newer object that was set aside its place."""
        right = [each for each in held.newer if each not in held.older]
        rows = unresolved(study.id).where(_is_one_of(SetAsideInstance, right)).order_by(SetAsideInstance.id)
        taking = {row.instance_id: row for row in session.scalars(rows)}  # the newest of several
        _settle(session, study.id, [*held.newer, *held.older], Decision.REPLACE)
        _exclude(session, study.id, held.older, now)
        for instance_id, row in taking.items():
            instance = session.get_one(Instance, instance_id, populate_existing=True)
            self._exchange(session, study, instance, row, now)

    def _exchange(
        self, session: Session, study: Study, instance: Instance, row: SetAsideInstance, now: datetime
    ) -> None:
        """Put an object that was set aside into the place of the stored instance.

        What was set aside before it, and did not matter then, contends no longer.
        """
        session.execute(
            update(SetAsideInstance)
            .where(
                SetAsideInstance.instance_id == instance.id,
                SetAsideInstance.id < row.id,
                SetAsideInstance.resolution.is_(None),
            )
            .values(resolution=Decision.REPLACE)
            .execution_options(synchronize_session=False)
        )
        of_row = {each: getattr(row, each) or getattr(instance, each) for each in _UIDS}
        into = study.id, study.revision
        if row.study_instance_uid != study.study_instance_uid:
            identity = InstanceIdentity(
                row.study_instance_uid,
                of_row["series_instance_uid"],
                instance.sop_instance_uid,
                of_row["sop_class_uid"],
                of_row["transfer_syntax_uid"],
            )
            moved = ReceivedInstance(identity, row.calling_ae_title)
            into = self._arrivals.enter(session, row.study_instance_uid, moved, now)
        taken = {each: getattr(row, each) for each in _EXCHANGED} | of_row
        for each in (*_EXCHANGED, *_UIDS):
            setattr(row, each, getattr(instance, each))
            setattr(instance, each, taken[each])
        row.study_instance_uid = study.study_instance_uid
        instance.study_id, instance.revision = into
        instance.excluded_at = None


def unresolved(study_id: int) -> Select[SetAsideInstance]:
    """Return the query for the objects that contend with an instance of a study."""
    return (
        select(SetAsideInstance)
        .join(Instance, Instance.id == SetAsideInstance.instance_id)
        .where(Instance.study_id == study_id, SetAsideInstance.resolution.is_(None))
    )


def lock_with_others(session: Session, study_id: int, digests: Sequence[str]) -> Study:
    """Lock a study, and those that objects set aside in it belong to; return the first.

    Args:
        session: the transaction.
        study_id: the study.
        digests: SHA-256 of the data sets of the objects.
    """
    named = unresolved(study_id).where(_is_one_of(SetAsideInstance, digests))
    uids = session.scalars(named.with_only_columns(SetAsideInstance.study_instance_uid)).all()
    session.execute(
        select(Study.id)
        .where((Study.id == study_id) | Study.study_instance_uid.in_(uids))
        .order_by(Study.study_instance_uid)
        .with_for_update()
    ).all()
    return lock_study(session, study_id)


def _settle(session: Session, study_id: int, digests: Collection[str], decision: Decision) -> None:
    ids = unresolved(study_id).where(_is_one_of(SetAsideInstance, digests))
    session.execute(
        update(SetAsideInstance)
        .where(SetAsideInstance.id.in_(ids.with_only_columns(SetAsideInstance.id)))
        .values(resolution=decision)
        .execution_options(synchronize_session=False)
    )


def _exclude(session: Session, study_id: int, digests: Collection[str], now: datetime) -> None:
    session.execute(
        update(Instance)
        .where(Instance.study_id == study_id, _is_one_of(Instance, digests), Instance.excluded_at.is_(None))
        .values(excluded_at=now)
        .execution_options(synchronize_session=False)
    )


def _is_one_of(table: type[Instance | SetAsideInstance], digests: Collection[str]) -> ColumnElement[bool]:
    return table.data_set_sha256.in_(digests)
