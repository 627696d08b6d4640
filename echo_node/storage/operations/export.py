"""What the node has kept, study by study, for whoever takes it elsewhere; nothing is changed."""

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
    """Which studies; what is left out does not restrict.

    Attributes:
        since: received at this moment or later.
        until: received before this moment.
        calling_ae_title: sent by this peer.
        study_instance_uids: of these alone.
    """

    since: datetime | None = None
    until: datetime | None = None
    calling_ae_title: str | None = None
    study_instance_uids: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class KeptStudy:
    """A study that is complete, with the instances that are kept of it, in order of arrival."""

    study_id: int
    study_instance_uid: str
    instances: tuple[StoredInstance, ...]


class Archive:
    """Reads complete studies; those that images still come to are left out.

    Args:
        database: where rows are kept.
        objects: where instances are kept.
    """

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def count(self, choice: StudyChoice) -> int:
        """Return how many studies were chosen, those of a list that are not here apart."""
        with self._database.read() as session:
            return sum(
                _is_listed(uid, choice) for uid in session.scalars(_chosen(choice).with_only_columns(_UID))
            )

    def studies(self, choice: StudyChoice) -> Iterator[KeptStudy]:
        """Yield the chosen studies by surrogate id, the files of each at hand until the next is asked for."""
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
