"""Queries of operators: read-only, with plain values as results, ready for JSON.

Rows are named by surrogate ids. UIDs are shown; names of patients are not stored in the first
place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import singledispatch
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func, null, select
from sqlalchemy.orm import Session

from echo_node.domain.work.commitment import COMMITTED, CommitmentRequestState
from echo_node.domain.work.kinds import (
    COMMITMENT,
    COMMITMENT_REQUEST,
    DELIVERY,
    JOB,
    KINDS,
    WITHDRAWAL,
    WorkKind,
)
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.pausable import Pausable
from echo_node.errors import PermanentError
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import (
    Base,
    Claimable,
    Commitment,
    Delivery,
    Document,
    Hold,
    Instance,
    Job,
    ModalityRequest,
    RequestedInstance,
    SetAsideInstance,
    Study,
    Withdrawal,
    table_of,
)
from echo_node.storage.ledgers.withdrawn import NOTES, is_note

Record = dict[str, Any]

_is_unresolved: ColumnElement[bool] = SetAsideInstance.resolution.is_(None)
_is_held: ColumnElement[bool] = Hold.ending.is_(None)


@dataclass(frozen=True, slots=True)
class Overview:
    """Numbers of studies and of work items by state; states without any are left out.

    Attributes:
        studies: studies by state.
        work: work items by state, for each kind by its plural, and by the plurals of earlier
            versions.
        instances: instances received.
        documents: drafts made.
        conflicts: objects that were set aside, and about which nothing is decided.
        held: studies that wait for an operator, held or withdrawn.
    """

    studies: dict[str, int]
    work: dict[str, dict[str, int]]
    instances: int
    documents: int
    conflicts: int
    held: int


class Queries:
    """Read models for the console, the web page and the metrics.

    Args:
        database: database of the node.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def ping(self) -> None:
        """Send the database a trivial query.

        Raises:
            TransientError: it does not answer.
        """
        with self._database.read() as session:
            session.execute(select(Study.id).limit(1)).all()

    def overview(self) -> Overview:
        """Count everything by state."""
        with self._database.read() as session:
            work: dict[str, dict[str, int]] = {}
            for kind in KINDS.values():
                counts = _by_state(session, table_of(kind), kind.states)
                work |= dict.fromkeys(kind.plurals, counts)
            return Overview(
                studies=_by_state(session, Study, StudyState),
                work=work,
                instances=_count(session, Instance),
                documents=session.scalar(select(func.count(Document.id)).where(~is_note)) or 0,
                conflicts=session.scalar(select(func.count()).where(_is_unresolved)) or 0,
                held=session.scalar(select(func.count()).where(_is_held)) or 0,
            )

    def recent_studies(self, limit: int = 50) -> list[Record]:
        """Return the studies that changed last."""
        query = select(Study).order_by(Study.changed_at.desc(), Study.id.desc()).limit(limit)
        with self._database.read() as session:
            return [_study(row) for row in session.scalars(query)]

    def studies_with_conflicts(self, limit: int = 20) -> list[int]:
        """Return the ids of studies with an undecided object set aside, the latest first."""
        query = (
            select(Instance.study_id)
            .join(SetAsideInstance, SetAsideInstance.instance_id == Instance.id)
            .where(_is_unresolved)
            .group_by(Instance.study_id)
            .order_by(func.max(SetAsideInstance.id).desc())
            .limit(limit)
        )
        with self._database.read() as session:
            return list(session.scalars(query))

    def held_studies(self, limit: int = 200) -> list[Record]:
        """Return the studies that wait for an operator, held or withdrawn; the longest first."""
        query = (
            select(Study, Hold)
            .join(Hold, Hold.study_id == Study.id)
            .where(_is_held)
            .order_by(Hold.since, Hold.id)
            .limit(limit)
        )
        with self._database.read() as session:
            return [_study(study) | {"hold": _hold(held)} for study, held in session.execute(query)]

    def studies_in(self, state: StudyState, limit: int = 200) -> list[Record]:
        """Return the studies in a state; those that changed last come first."""
        query = select(Study).where(Study.state == state)
        with self._database.read() as session:
            found = session.scalars(query.order_by(Study.changed_at.desc(), Study.id.desc()).limit(limit))
            return [_study(row) for row in found]

    def list_work(self, kind: WorkKind, state: StrEnum | None = None, limit: int = 200) -> list[Record]:
        """Return the newest work items of a kind, with their reasons."""
        table = table_of(kind)
        is_listed = [] if state is None else [table.state == state]
        with self._database.read() as session:
            return _work(session, kind, *is_listed, newest=limit)

    def commitment_request(self, request_id: int) -> Record:
        """Return the record of a modality's request, with its instances.

        Raises:
            PermanentError: there is no such request.
        """
        with self._database.read() as session:
            found = _work(session, COMMITMENT_REQUEST, ModalityRequest.id == request_id)
            if not found:
                raise PermanentError(f"there is no {COMMITMENT_REQUEST} {request_id}")
            named = (
                select(RequestedInstance, Instance.study_id)
                .outerjoin(Instance, Instance.sop_instance_uid == RequestedInstance.sop_instance_uid)
                .where(RequestedInstance.request_id == request_id)
                .order_by(RequestedInstance.id)
            )
            return found[0] | {
                "instances": [
                    _requested(row) | {"study_id": study_id} for row, study_id in session.execute(named)
                ]
            }

    def running(self, what: Pausable) -> int:
        """Return the number of work items of this pause that workers have claimed."""
        with self._database.read() as session:
            counts = (
                select(func.count()).where(table_of(kind).state.in_([step.running for step in kind.steps]))
                for kind in KINDS.values()
                if kind.pausable is what
            )
            return sum(session.scalar(each) or 0 for each in counts)

    def study_of(self, kind: WorkKind, row_id: int) -> int:
        """Return the study of a work item; for a modality's request, that of its first image.

        Raises:
            PermanentError: there is no such work item, or no such study.
        """
        table, relation = table_of(kind), _relation(kind)
        query = select(relation.study).select_from(table).where(table.id == row_id)
        for joined, condition in relation.joins:
            query = query.join(joined, condition)
        with self._database.read() as session:
            study_id = session.scalar(query)
        if study_id is None:
            raise PermanentError(f"there is no {kind} {row_id}, or it belongs to no study")
        return study_id

    def show(self, study_id: int) -> Record:
        """Return everything known about one study.

        Raises:
            PermanentError: there is no such study.
        """
        with self._database.read() as session:
            study = session.get(Study, study_id)
            if study is None:
                raise PermanentError(f"there is no study {study_id}")
            instances = session.scalars(select(Instance).where(Instance.study_id == study_id)).all()
            conflicts = session.scalars(
                select(SetAsideInstance).where(
                    SetAsideInstance.instance_id.in_([row.id for row in instances])
                )
            ).all()
            elsewhere = (
                select(SetAsideInstance, Instance.study_id)
                .join(Instance, Instance.id == SetAsideInstance.instance_id)
                .where(
                    SetAsideInstance.study_instance_uid == study.study_instance_uid,
                    Instance.study_id != study_id,
                )
            )
            holds = select(Hold).where(Hold.study_id == study_id).order_by(Hold.id)
            documents = session.scalars(
                select(Document).where(Document.study_id == study_id).order_by(Document.id)
            ).all()
            revisions = select(Withdrawal.revision).where(Withdrawal.study_id == study_id)
            withdrawn_up_to = max(session.scalars(revisions), default=0)
            record = _study(study) | {
                "study_instance_uid": study.study_instance_uid,
                "instances": [_instance(row) for row in instances],
                "conflicts": [_conflict(row) for row in conflicts],
                "set_aside_elsewhere": [
                    _conflict(row) | {"study_id": other} for row, other in session.execute(elsewhere)
                ],
                "holds": [
                    _hold(row) | {"objects": _objects(row, [*instances, *conflicts])}
                    for row in session.scalars(holds)
                ],
                "documents": [_document(row, withdrawn_up_to) for row in documents],
            }
            for kind in KINDS.values():
                rows = _work(session, kind, _is_of_study(kind, study_id))
                record |= dict.fromkeys(kind.plurals, rows)
            return record


@dataclass(frozen=True, slots=True)
class _Relation:
    """Relation of a kind of work to studies and destinations.

    Attributes:
        study: expression for a row's study, or for the first of its studies.
        destination: expression for a row's destination.
        joins: tables that the two expressions need, each with its condition.
        rows_of: query for the ids of a study's rows, if a row can belong to several studies.
    """

    study: SQLColumnExpression[int | None]
    destination: SQLColumnExpression[str | None] | None = None
    joins: tuple[tuple[type[Base], ColumnElement[bool]], ...] = ()
    rows_of: Callable[[int], Select[int]] | None = None


_study_of_delivery = (Document, Document.id == Delivery.document_id)
_named_images = select(Instance.study_id).join(
    RequestedInstance, RequestedInstance.sop_instance_uid == Instance.sop_instance_uid
)

_RELATIONS = {
    JOB.name: _Relation(Job.study_id),
    DELIVERY.name: _Relation(
        Document.study_id,
        Delivery.destination,
        (_study_of_delivery,),
    ),
    COMMITMENT.name: _Relation(
        Document.study_id,
        Delivery.destination,
        ((Delivery, Delivery.id == Commitment.delivery_id), _study_of_delivery),
    ),
    COMMITMENT_REQUEST.name: _Relation(
        _named_images.where(RequestedInstance.request_id == ModalityRequest.id)
        .order_by(RequestedInstance.id)
        .limit(1)
        .scalar_subquery(),
        rows_of=lambda study_id: _named_images.with_only_columns(RequestedInstance.request_id).where(
            Instance.study_id == study_id
        ),
    ),
    WITHDRAWAL.name: _Relation(Withdrawal.study_id),
}
_NO_RELATION = _Relation(null())


def _relation(kind: WorkKind) -> _Relation:
    return _RELATIONS.get(kind.name, _NO_RELATION)


def _is_of_study(kind: WorkKind, study_id: int) -> ColumnElement[bool]:
    """Return the condition that a row of a kind belongs to a study."""
    relation = _relation(kind)
    if relation.rows_of is not None:
        return table_of(kind).id.in_(relation.rows_of(study_id))
    return relation.study == study_id


def _work(
    session: Session, kind: WorkKind, *conditions: ColumnElement[bool], newest: int | None = None
) -> list[Record]:
    """Return records of a kind, oldest first, or only the *newest* ones, newest first."""
    table, relation = table_of(kind), _relation(kind)
    destination_of = null() if relation.destination is None else relation.destination
    query = select(table, relation.study, destination_of).select_from(table).where(*conditions)
    for joined, condition in relation.joins:
        query = query.join(joined, condition)
    query = query.order_by(table.id if newest is None else table.id.desc()).limit(newest)
    return [
        {kind.id_key: row.id, "study_id": study_id}
        | ({} if destination is None else {"destination": destination})
        | _details(row)
        | _claim(row)
        for row, study_id, destination in session.execute(query)
    ]


def _by_state(session: Session, table: type[Study | Claimable], states: type[StrEnum]) -> dict[str, int]:
    counted = session.execute(select(table.state, func.count()).group_by(table.state))
    counts = {str(state): count for state, count in counted}
    return {str(state): counts[state] for state in states if state in counts}


def _count(session: Session, table: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def _study(row: Study) -> Record:
    return {
        "study_id": row.id,
        "state": str(row.state),
        "revision": row.revision,
        "reason": row.reason,
        "calling_ae_title": row.calling_ae_title,
        "urgent": row.urgent,
        "received_at": row.received_at.isoformat(),
        "due_at": row.due_at.isoformat() if row.state is StudyState.RECEIVING else None,
        "changed_at": row.changed_at.isoformat(),
    }


def _instance(row: Instance) -> Record:
    return {
        "instance_id": row.id,
        "revision": row.revision,
        "sop_instance_uid": row.sop_instance_uid,
        "sop_class_uid": row.sop_class_uid,
        "transfer_syntax_uid": row.transfer_syntax_uid,
        "size_bytes": row.size_bytes,
        "path": row.path,
        "received_at": row.received_at.isoformat(),
        "removed_at": row.removed_at.isoformat() if row.removed_at else None,
        "excluded_at": row.excluded_at.isoformat() if row.excluded_at else None,
    }


def _conflict(row: SetAsideInstance) -> Record:
    return {
        "conflict_id": row.id,
        "instance_id": row.instance_id,
        "path": row.path,
        "study_instance_uid": row.study_instance_uid,
        "calling_ae_title": row.calling_ae_title,
        "received_at": row.received_at.isoformat(),
        "resolution": row.resolution,
    }


def _hold(row: Hold) -> Record:
    return {
        "revision": row.revision,
        "attributes": row.attributes,
        "explanation": row.explanation,
        "since": row.since.isoformat(),
        "can_replace": bool(row.newer),
        "ending": row.ending,
        "ended_by": row.ended_by,
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
    }


def _claim(row: Claimable) -> Record:
    return {
        "state": str(row.state),
        "attempt": row.attempt,
        "tries": row.tries,
        "reason": row.reason,
        "holder": row.holder,
        "available_at": row.available_at.isoformat(),
        "changed_at": row.changed_at.isoformat(),
    }


@singledispatch
def _details(row: Claimable) -> Record:
    """Return the fields of a record that only rows of this kind have."""
    return {}


@_details.register
def _(row: Job) -> Record:
    return {"revision": row.revision}


@_details.register
def _(row: Delivery) -> Record:
    return {
        "document_id": row.document_id,
        "status": None if row.status is None else f"0x{row.status:04X}",
    }


@_details.register
def _(row: Commitment) -> Record:
    return {"delivery_id": row.delivery_id}


@_details.register
def _(row: ModalityRequest) -> Record:
    is_asked = row.state in {
        CommitmentRequestState.PENDING,
        CommitmentRequestState.ASKING,
        CommitmentRequestState.ASKED,
    }
    return {
        "calling_ae_title": row.calling_ae_title,
        "request_uid": row.request_uid,
        "archive": row.archive,
        "destination": (row.archive or "the archive") if is_asked else row.calling_ae_title,
    }


@_details.register
def _(row: Withdrawal) -> Record:
    return {
        "revision": row.revision,
        "rejection": row.rejection.value,
        "explanation": row.explanation,
        "asked_by": row.asked_by,
        "asked_at": row.created_at.isoformat(),
    }


def _requested(row: RequestedInstance) -> Record:
    return {
        "sop_class_uid": row.sop_class_uid,
        "sop_instance_uid": row.sop_instance_uid,
        "is_committed": None if row.status is None else row.status == COMMITTED,
        "failure_reason": f"0x{row.status:04X}" if row.status else None,
    }


def _objects(held: Hold, known: Iterable[Instance | SetAsideInstance]) -> list[Record]:
    """Return the objects that a hold is about, as far as they are still in the study."""
    return [
        {
            "role": role,
            "instance_id": row.instance_id if isinstance(row, SetAsideInstance) else row.id,
            "path": row.path,
            "calling_ae_title": row.calling_ae_title,
            "received_at": row.received_at.isoformat(),
        }
        for row in sorted(known, key=lambda each: each.received_at)
        if (role := _role(row.data_set_sha256, held))
    ]


def _role(digest: str, held: Hold) -> str:
    """Return the role of an object in a hold: first, newer or newest; empty without one."""
    if digest in held.newer:
        return "newer" if digest in held.older else "newest"
    return "first" if digest in held.older else ""


def _document(row: Document, withdrawn_up_to: int) -> Record:
    """Return a document's record. *withdrawn_up_to* is its study's latest withdrawn revision."""
    note = row.kind in NOTES
    return {
        "document_id": row.id,
        "revision": row.revision,
        "kind": row.kind,
        "is_made": row.kept_path is None,
        "is_note": note,
        "is_withdrawn": not note and row.revision <= withdrawn_up_to,
        "sop_instance_uid": row.sop_instance_uid,
        "model": f"{row.model_name} {row.model_version}",
        "model_digest": row.model_digest,
        "input_sop_instance_uids": row.input_sop_instance_uids,
        "path": row.object_path,
        "created_at": row.created_at.isoformat(),
    }
