"""Arrivals: the rows that an arriving instance writes, its own and its study's.

Every image passes through here. Therefore no mapped objects are loaded, tracked and flushed, and
no statement is built again: both took longer than the database itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import Row, Table, bindparam, select, update
from sqlalchemy.orm import Session

from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.studies.study import InstanceFile, InstanceIdentity, ReceivedInstance
from echo_node.domain.work.hold import Decision, HoldEnding
from echo_node.domain.work.lifecycle import StudyEvent, StudyState, next_state
from echo_node.storage.database.drafting_order import supersede_jobs
from echo_node.storage.database.rows import insert_if_absent
from echo_node.storage.database.tables import Instance, SetAsideInstance, Study
from echo_node.storage.ledgers.holds import end_hold
from echo_node.storage.ledgers.withdrawn import WITHDRAWN

_STUDIES = cast("Table", Study.__table__)
_INSTANCES = cast("Table", Instance.__table__)
_SET_ASIDE = cast("Table", SetAsideInstance.__table__)

_STUDY_BY_UID = select(_STUDIES).where(_STUDIES.c.study_instance_uid == bindparam("uid")).with_for_update()
_KEPT_BY_UID = (
    select(
        _INSTANCES.c.id,
        _INSTANCES.c.study_id,
        _INSTANCES.c.revision,
        _INSTANCES.c.path,
        _INSTANCES.c.data_set_sha256,
        _INSTANCES.c.transfer_syntax_uid,
        _INSTANCES.c.excluded_at,
        _STUDIES.c.study_instance_uid,
    )
    .join_from(_INSTANCES, _STUDIES)
    .where(_INSTANCES.c.sop_instance_uid == bindparam("uid"))
)
_Kept: TypeAlias = Row[Any, Any, Any, Any, Any, Any, Any, Any]
_WHOLE_KEPT = (
    select(_INSTANCES)
    .where(_INSTANCES.c.id == bindparam("instance_id"), _INSTANCES.c.path == bindparam("kept_path"))
    .with_for_update()
)
_CHANGED = (
    "state", "revision", "reason", "calling_ae_title", "due_at", "force_at", "received_at", "changed_at",
    "urgent",
)  # fmt: skip
_CHANGE_STUDY = (
    update(_STUDIES)
    .where(_STUDIES.c.id == bindparam("study_id"))
    .values({column: bindparam(f"new_{column}") for column in _CHANGED})
)


class Overtaken(Exception):
    """Another transaction wrote this instance first. This one must roll back."""


class KnownInAnotherStudy(Exception):
    """The instance is stored in another study. This transaction must lock that one instead.

    Attributes:
        study_instance_uid: the study in which it is stored.
    """

    def __init__(self, study_instance_uid: str) -> None:
        super().__init__()
        self.study_instance_uid = study_instance_uid


class Arrivals:
    """Writes the rows of arriving instances.

    Args:
        debounce_s: function from a calling AE title to the time without arrivals, in seconds, after
            which its studies are complete.
        maximum_wait: time after the first instance of a revision when a study is complete in any
            case.
        is_urgent: predicate on a calling AE title: whether its studies are urgent.
        subject_of: function from the path of a stored instance to its subject; empty if it cannot
            be read.
    """

    def __init__(
        self,
        debounce_s: Callable[[str], float],
        maximum_wait: timedelta,
        is_urgent: Callable[[str], bool],
        subject_of: Callable[[str], str],
    ) -> None:
        self._subject_of = subject_of
        self._debounce_s = debounce_s
        self._maximum_wait = maximum_wait
        self._is_urgent = is_urgent

    def add(
        self, session: Session, received: ReceivedInstance, file: InstanceFile, now: datetime, locking: str
    ) -> tuple[StoreOutcome, int, int]:
        """Write an instance; return the outcome, and the study's id and revision.

        Args:
            session: the transaction.
            received: the instance.
            file: its file.
            now: time of its arrival.
            locking: Study Instance UID of the study that this transaction may lock.

        Raises:
            Overtaken: the transaction must be rolled back and done again.
            KnownInAnotherStudy: it must be done again, with that study to lock.
        """
        uids = received.identity
        kept = _kept(session, uids.sop_instance_uid)
        if kept is None:
            study_id, revision = self.enter(session, uids.study_instance_uid, received, now)
            _insert_instance(session, study_id, revision, received, file, now)
            return StoreOutcome.STORED, study_id, revision
        if kept.path == str(file.path):  # the same work was done before, and its answer was lost
            return StoreOutcome.STORED, kept.study_id, kept.revision
        if self._compare(session, kept, uids, file.data_set_sha256) is StoreOutcome.DUPLICATE:
            self.note_resend(session, received, now)
            return StoreOutcome.DUPLICATE, kept.study_id, kept.revision
        if kept.excluded_at is not None:
            study_id, revision = self.enter(session, uids.study_instance_uid, received, now)
            _take_place(session, kept, study_id, revision, received, file, now)
            return StoreOutcome.STORED, study_id, revision
        if kept.study_instance_uid != locking:
            raise KnownInAnotherStudy(kept.study_instance_uid)
        study_id, revision = self.enter(session, kept.study_instance_uid, received, now)
        if _kept(session, uids.sop_instance_uid) != kept:
            raise Overtaken
        _set_aside(session, kept.id, received, file, now)
        return StoreOutcome.CONFLICT, study_id, revision

    def is_resend(self, session: Session, received: ReceivedInstance, digest: str) -> bool:
        """Return whether the instance is stored already, so that this copy need not be kept."""
        kept = _kept(session, received.identity.sop_instance_uid)
        if kept is None:
            return False
        return self._compare(session, kept, received.identity, digest) is StoreOutcome.DUPLICATE

    def _compare(
        self, session: Session, kept: _Kept, identity: InstanceIdentity, digest: str
    ) -> Literal[StoreOutcome.DUPLICATE, StoreOutcome.CONFLICT]:
        """Return the outcome for an instance whose SOP Instance UID is stored already.

        The same image in another transfer syntax is a duplicate: the first is kept. If its patient
        or order is written in another way, it is not the same.
        """
        if kept.data_set_sha256 == digest:
            return StoreOutcome.DUPLICATE
        same_study = kept.study_instance_uid == identity.study_instance_uid
        if (
            same_study
            and kept.transfer_syntax_uid != identity.transfer_syntax_uid
            and identity.subject == self._subject_of(kept.path)
        ):
            return StoreOutcome.DUPLICATE
        aside = select(SetAsideInstance.id).where(
            SetAsideInstance.instance_id == kept.id, SetAsideInstance.data_set_sha256 == digest
        )
        return StoreOutcome.CONFLICT if session.scalar(aside) is None else StoreOutcome.DUPLICATE

    def enter(
        self, session: Session, study_instance_uid: str, received: ReceivedInstance, now: datetime
    ) -> tuple[int, int]:
        """Record an arrival in a study, new if necessary; return the study's id and revision."""
        database, uid = session.connection(), {"uid": study_instance_uid}
        study = database.execute(_STUDY_BY_UID, uid).one_or_none()
        if study is None:
            self._make_study(session, study_instance_uid, received, now)
            study = database.execute(_STUDY_BY_UID, uid).one()
        state = next_state(study.state, StudyEvent.INSTANCE_ARRIVED)
        changed = {**study._asdict(), "state": state, "received_at": now, "changed_at": now}
        if study.state not in WITHDRAWN:  # a withdrawn study waits for an operator
            if study.state is not StudyState.RECEIVING:
                changed |= {
                    "revision": study.revision + 1,
                    "force_at": now + self._maximum_wait,
                    "due_at": now,
                }
                supersede_jobs(session, study.id, now)
                if study.state is StudyState.HELD:
                    end_hold(session, study.id, HoldEnding.SUPERSEDED, "", now)
            calling = received.calling_ae_title
            changed["due_at"] = max(changed["due_at"], now + timedelta(seconds=self._debounce_s(calling)))
            changed["urgent"] = study.urgent or received.urgent or self._is_urgent(calling)
            changed |= {"calling_ae_title": calling, "reason": None}
        values = {f"new_{column}": changed[column] for column in _CHANGED}
        database.execute(_CHANGE_STUDY, {"study_id": study.id, **values})
        return study.id, changed["revision"]

    def _make_study(
        self, session: Session, study_instance_uid: str, received: ReceivedInstance, now: datetime
    ) -> None:
        insert_if_absent(
            session,
            Study,
            study_instance_uid=study_instance_uid,
            state=StudyState.RECEIVING,
            revision=1,
            calling_ae_title=received.calling_ae_title,
            due_at=now,
            force_at=now + self._maximum_wait,
            received_at=now,
            changed_at=now,
            urgent=False,
        )

    def note_resend(self, session: Session, received: ReceivedInstance, now: datetime) -> None:
        """Postpone the due time of the instance's study, if it is still receiving."""
        due_at = now + timedelta(seconds=self._debounce_s(received.calling_ae_title))
        session.execute(
            update(Study)
            .where(
                Study.study_instance_uid == received.identity.study_instance_uid,
                Study.state == StudyState.RECEIVING,
                Study.due_at < due_at,
            )
            .values(due_at=due_at)
        )


def _kept(session: Session, sop_instance_uid: str) -> _Kept | None:
    return session.connection().execute(_KEPT_BY_UID, {"uid": sop_instance_uid}).one_or_none()


def _insert_instance(
    session: Session,
    study_id: int,
    revision: int,
    received: ReceivedInstance,
    file: InstanceFile,
    now: datetime,
) -> None:
    added = insert_if_absent(
        session,
        Instance,
        study_id=study_id,
        revision=revision,
        sop_instance_uid=received.identity.sop_instance_uid,
        **_of_object(received, file, now),
    )
    if not added:
        raise Overtaken


def _set_aside(
    session: Session, instance_id: int, received: ReceivedInstance, file: InstanceFile, now: datetime
) -> None:
    added = insert_if_absent(
        session,
        SetAsideInstance,
        instance_id=instance_id,
        study_instance_uid=received.identity.study_instance_uid,
        **_of_object(received, file, now),
    )
    if not added:
        raise Overtaken


def _take_place(
    session: Session,
    kept: _Kept,
    study_id: int,
    revision: int,
    received: ReceivedInstance,
    file: InstanceFile,
    now: datetime,
) -> None:
    """Give an instance the place of one that was excluded from its study, which is set aside."""
    excluded = (
        session.connection()
        .execute(_WHOLE_KEPT, {"instance_id": kept.id, "kept_path": kept.path})
        .one_or_none()
    )
    if excluded is None:
        raise Overtaken
    new = {
        "study_id": study_id,
        "revision": revision,
        "removed_at": None,
        "excluded_at": None,
        **_of_object(received, file, now),
    }
    session.connection().execute(update(_INSTANCES).where(_INSTANCES.c.id == kept.id).values(new))
    aside = {
        name: value for name, value in excluded._asdict().items() if name in _SET_ASIDE.c and name != "id"
    }
    insert_if_absent(
        session,
        SetAsideInstance,
        instance_id=kept.id,
        study_instance_uid=kept.study_instance_uid,
        resolution=Decision.REPLACE,
        **aside,
    )


def _of_object(received: ReceivedInstance, file: InstanceFile, now: datetime) -> dict[str, Any]:
    """Return the columns that stored instances and those set aside have in common."""
    return {
        "series_instance_uid": received.identity.series_instance_uid,
        "sop_class_uid": received.identity.sop_class_uid,
        "transfer_syntax_uid": received.identity.transfer_syntax_uid,
        "data_set_sha256": file.data_set_sha256,
        "size_bytes": file.size_bytes,
        "path": str(file.path),
        "calling_ae_title": received.calling_ae_title,
        "received_at": now,
    }
