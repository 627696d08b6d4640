"""Export of stored studies, one at a time, without a change to them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, exists, select

from echo_node.domain.studies.study import StoredInstance
from echo_node.domain.work.lifecycle import StudyState
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import Instance, Study
from echo_node.storage.objects.spool import stored_instance
from echo_node.storage.objects.store import ObjectStore


@dataclass(frozen=True, slots=True)
class StudyChoice:
    """Conditions on studies; None sets no condition.

    Attributes:
        since: earliest time of reception.
        until: end of the time of reception, exclusive.
        calling_ae_title: AE title of the sender.
        study_instance_uids: Study Instance UIDs to choose from.
    """

    since: datetime | None = None
    until: datetime | None = None
    calling_ae_title: str | None = None
    study_instance_uids: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class KeptStudy:
    """A complete study with its stored instances, in order of arrival."""

    study_id: int
    study_instance_uid: str
    instances: tuple[StoredInstance, ...]


class Archive:
    """Reads complete studies; studies that still receive images are left out.

    Args:
        database: database of the node.
        objects: store of the instances.
    """

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def count(self, choice: StudyChoice) -> int:
        """Return the number of chosen studies; listed studies that are not here do not count."""
        with self._database.read() as session:
            return sum(
                _is_listed(uid, choice) for uid in session.scalars(_chosen(choice).with_only_columns(_UID))
            )

    def studies(self, choice: StudyChoice) -> Iterator[KeptStudy]:
        """Yield the chosen studies by surrogate id; the files of each exist until the next one."""
        after = 0
        while found := self._next(choice, after):
            study, rows = found
            after, uid = study.id, study.study_instance_uid
            if not _is_listed(uid, choice):
                continue
            with self._objects.local_paths([row.path for row in rows]) as paths:
                kept = zip(rows, paths, strict=True)
                yield KeptStudy(study.id, uid, tuple(stored_instance(row, uid, path) for row, path in kept))

    def _next(self, choice: StudyChoice, after: int) -> tuple[Study, Sequence[Instance]] | None:
        query = _chosen(choice).where(Study.id > after).order_by(Study.id).limit(1)
        with self._database.read() as session:
            study = session.scalars(query).one_or_none()
            if study is None:
                return None
            rows = session.scalars(
                select(Instance)
                .where(Instance.study_id == study.id, Instance.removed_at.is_(None))
                .order_by(Instance.id)
            ).all()
            session.expunge_all()
            return study, rows


_UID = Study.study_instance_uid


def _chosen(choice: StudyChoice) -> Select[Study]:
    kept = exists().where(Instance.study_id == Study.id, Instance.removed_at.is_(None))
    query = select(Study).where(Study.state != StudyState.RECEIVING, kept)
    if choice.since is not None:
        query = query.where(Study.received_at >= choice.since)
    if choice.until is not None:
        query = query.where(Study.received_at < choice.until)
    if choice.calling_ae_title is not None:
        query = query.where(Study.calling_ae_title == choice.calling_ae_title)
    return query


def _is_listed(study_instance_uid: str, choice: StudyChoice) -> bool:
    return choice.study_instance_uids is None or study_instance_uid in choice.study_instance_uids
