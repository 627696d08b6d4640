"""What an operator may want to know, read without changing anything: plain values, ready for JSON.

Surrogate ids name things; UIDs are shown, names of patients are not stored to begin with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from echo_node.domain.work.commitment import COMMITTED, CommitmentState, PromiseState
from echo_node.domain.work.job import DeliveryState, JobState, WorkKind
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.pausable import Pausable
from echo_node.domain.work.withdrawal import WithdrawalState
from echo_node.errors import PermanentError
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import (
    Base,
    Commitment,
    Conflict,
    Delivery,
    Document,
    Instance,
    Job,
    Promise,
    PromisedInstance,
    Study,
    Withdrawal,
)
from echo_node.storage.ledgers.withdrawn import NOTES, is_note

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Overview:
    """How many studies, and how much work of each kind, are in each state; empty states are left out."""

    studies: dict[str, int]
    jobs: dict[str, int]
    deliveries: dict[str, int]
    commitments: dict[str, int]
    promises: dict[str, int]
    withdrawals: dict[str, int]
    instances: int
    documents: int
    conflicts: int


class Queries:
    """Read models for the console, the web page and the metrics."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ping(self) -> None:
        """Ask the database for something trivial.

        Raises:
            TransientError: it does not answer.
        """
        with self._database.read() as session:
            session.execute(select(Study.id).limit(1)).all()

    def overview(self) -> Overview:
        """Count everything by state."""
        with self._database.read() as session:
            return Overview(
                studies=_by_state(session, Study, StudyState),
                jobs=_by_state(session, Job, JobState),
                deliveries=_by_state(session, Delivery, DeliveryState),
                commitments=_by_state(session, Commitment, CommitmentState),
                promises=_by_state(session, Promise, PromiseState),
                withdrawals=_by_state(session, Withdrawal, WithdrawalState),
                instances=_count(session, Instance),
                documents=session.scalar(select(func.count(Document.id)).where(~is_note)) or 0,
                conflicts=_count(session, Conflict),
            )

    def recent_studies(self, limit: int = 50) -> list[Record]:
        """Return the studies that changed last, by surrogate id."""
        query = select(Study).order_by(Study.changed_at.desc(), Study.id.desc()).limit(limit)
        with self._database.read() as session:
            return [_study(row) for row in session.scalars(query)]

    def studies_with_conflicts(self, limit: int = 20) -> list[int]:
        """Return the ids of studies of which an image was set aside, the latest first."""
        query = (
            select(Instance.study_id)
            .join(Conflict, Conflict.instance_id == Instance.id)
            .group_by(Instance.study_id)
            .order_by(func.max(Conflict.id).desc())
            .limit(limit)
        )
        with self._database.read() as session:
            return list(session.scalars(query))

    def list_jobs(self, state: JobState | None = None, limit: int = 200) -> list[Record]:
        """Return the newest jobs, with their reasons."""
        query = select(Job).order_by(Job.id.desc()).limit(limit)
        if state is not None:
            query = query.where(Job.state == state)
        with self._database.read() as session:
            return [_job(row) for row in session.scalars(query)]

    def list_deliveries(self, state: DeliveryState | None = None, limit: int = 200) -> list[Record]:
        """Return the newest deliveries, with their reasons."""
        query = select(Delivery, Document.study_id).join(Document, Document.id == Delivery.document_id)
        query = query.order_by(Delivery.id.desc()).limit(limit)
        if state is not None:
            query = query.where(Delivery.state == state)
        with self._database.read() as session:
            return [_delivery(row) | {"study_id": study_id} for row, study_id in session.execute(query)]

    def list_commitments(self, state: CommitmentState | None = None, limit: int = 200) -> list[Record]:
        """Return the newest requests for storage commitment, with their reasons."""
        query = (
            select(Commitment, Delivery.destination, Document.study_id)
            .join(Delivery, Delivery.id == Commitment.delivery_id)
            .join(Document, Document.id == Delivery.document_id)
            .order_by(Commitment.id.desc())
            .limit(limit)
        )
        if state is not None:
            query = query.where(Commitment.state == state)
        with self._database.read() as session:
            return [
                _commitment(row) | {"destination": destination, "study_id": study_id}
                for row, destination, study_id in session.execute(query)
            ]

    def list_promises(self, state: PromiseState | None = None, limit: int = 200) -> list[Record]:
        """Return the newest requests of modalities for storage commitment, with their reasons."""
        query = select(Promise).order_by(Promise.id.desc()).limit(limit)
        if state is not None:
            query = query.where(Promise.state == state)
        with self._database.read() as session:
            return [_promise(row) for row in session.scalars(query)]

    def list_withdrawals(self, state: WithdrawalState | None = None, limit: int = 200) -> list[Record]:
        """Return the newest withdrawals of drafts: who asked for them, when and why."""
        query = select(Withdrawal).order_by(Withdrawal.id.desc()).limit(limit)
        if state is not None:
            query = query.where(Withdrawal.state == state)
        with self._database.read() as session:
            return [_withdrawal(row) for row in session.scalars(query)]

    def promise(self, promise_id: int) -> Record:
        """Return all there is to know about one request of a modality.

        Raises:
            PermanentError: there is no such request.
        """
        with self._database.read() as session:
            promise = session.get(Promise, promise_id)
            if promise is None:
                raise PermanentError(f"there is no promise {promise_id}")
            named = (
                select(PromisedInstance, Instance.study_id)
                .outerjoin(Instance, Instance.sop_instance_uid == PromisedInstance.sop_instance_uid)
                .where(PromisedInstance.promise_id == promise_id)
                .order_by(PromisedInstance.id)
            )
            return _promise(promise) | {
                "instances": [
                    _promised(row) | {"study_id": study_id} for row, study_id in session.execute(named)
                ]
            }

    def running(self, what: Pausable) -> int:
        """Return how many pieces of this work are in some worker's hands."""
        with self._database.read() as session:
            if what is Pausable.DRAFTING:
                running = select(func.count()).where(Job.state == JobState.RUNNING)
                return session.scalar(running) or 0
            sending = select(func.count()).where(Delivery.state == DeliveryState.SENDING)
            asking = select(func.count()).where(Commitment.state == CommitmentState.ASKING)
            promising = select(func.count()).where(
                Promise.state.in_((PromiseState.ASKING, PromiseState.ANSWERING))
            )
            preparing = select(func.count()).where(Withdrawal.state == WithdrawalState.PREPARING)
            return sum(session.scalar(each) or 0 for each in (sending, asking, promising, preparing))

    def study_of(self, kind: WorkKind, row_id: int) -> int:
        """Return the study that work belongs to; of a modality's request, that of its first image here.

        Raises:
            PermanentError: there is no such one.
        """
        query = select(Job.study_id).where(Job.id == row_id)
        if kind != "job":
            query = select(Document.study_id).join(Delivery).where(Delivery.id == row_id)
        if kind == "commitment":
            query = select(Document.study_id).join(Delivery).join(Commitment).where(Commitment.id == row_id)
        if kind == "withdrawal":
            query = select(Withdrawal.study_id).where(Withdrawal.id == row_id)
        if kind == "promise":
            query = (
                select(Instance.study_id)
                .join(PromisedInstance, PromisedInstance.sop_instance_uid == Instance.sop_instance_uid)
                .where(PromisedInstance.promise_id == row_id)
                .order_by(PromisedInstance.id)
                .limit(1)
            )
        with self._database.read() as session:
            study_id = session.scalar(query)
        if study_id is None:
            raise PermanentError(f"there is no {kind} {row_id}, or no study that it is about")
        return study_id

    def show(self, study_id: int) -> Record:
        """Return all there is to know about one study.

        Raises:
            PermanentError: there is no such study.
        """
        with self._database.read() as session:
            study = session.get(Study, study_id)
            if study is None:
                raise PermanentError(f"there is no study {study_id}")
            instances = session.scalars(select(Instance).where(Instance.study_id == study_id)).all()
            conflicts = select(Conflict).where(Conflict.instance_id.in_([row.id for row in instances]))
            documents = session.scalars(
                select(Document).where(Document.study_id == study_id).order_by(Document.id)
            ).all()
            deliveries = select(Delivery).where(Delivery.document_id.in_([row.id for row in documents]))
            jobs = select(Job).where(Job.study_id == study_id).order_by(Job.id)
            withdrawals = session.scalars(
                select(Withdrawal).where(Withdrawal.study_id == study_id).order_by(Withdrawal.id)
            ).all()
            taken_back = max((row.revision for row in withdrawals), default=0)
            asked = (
                select(Commitment, Delivery.destination)
                .join(Delivery, Delivery.id == Commitment.delivery_id)
                .where(Delivery.document_id.in_([row.id for row in documents]))
                .order_by(Commitment.id)
            )
            promises = (
                select(Promise)
                .where(
                    select(PromisedInstance.id)
                    .join(Instance, Instance.sop_instance_uid == PromisedInstance.sop_instance_uid)
                    .where(PromisedInstance.promise_id == Promise.id, Instance.study_id == study_id)
                    .exists()
                )
                .order_by(Promise.id)
            )
            return _study(study) | {
                "study_instance_uid": study.study_instance_uid,
                "instances": [_instance(row) for row in instances],
                "conflicts": [_conflict(row) for row in session.scalars(conflicts)],
                "jobs": [_job(row) for row in session.scalars(jobs)],
                "documents": [_document(row, taken_back) for row in documents],
                "deliveries": [_delivery(row) for row in session.scalars(deliveries.order_by(Delivery.id))],
                "commitments": [
                    _commitment(row) | {"destination": destination}
                    for row, destination in session.execute(asked)
                ],
                "promises": [_promise(row) for row in session.scalars(promises)],
                "withdrawals": [_withdrawal(row) for row in withdrawals],
            }


def _by_state(
    session: Session,
    table: type[Study | Job | Delivery | Commitment | Promise | Withdrawal],
    states: type[StudyState | JobState | DeliveryState | CommitmentState | PromiseState | WithdrawalState],
) -> dict[str, int]:
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
    }


def _conflict(row: Conflict) -> Record:
    return {
        "conflict_id": row.id,
        "instance_id": row.instance_id,
        "path": row.path,
        "calling_ae_title": row.calling_ae_title,
        "received_at": row.received_at.isoformat(),
    }


def _claimable(row: Job | Delivery | Commitment | Promise | Withdrawal) -> Record:
    return {
        "state": str(row.state),
        "attempt": row.attempt,
        "tries": row.tries,
        "reason": row.reason,
        "holder": row.holder,
        "available_at": row.available_at.isoformat(),
        "changed_at": row.changed_at.isoformat(),
    }


def _job(row: Job) -> Record:
    return {"job_id": row.id, "study_id": row.study_id, "revision": row.revision} | _claimable(row)


def _delivery(row: Delivery) -> Record:
    return {
        "delivery_id": row.id,
        "document_id": row.document_id,
        "destination": row.destination,
        "status": None if row.status is None else f"0x{row.status:04X}",
    } | _claimable(row)


def _commitment(row: Commitment) -> Record:
    return {"commitment_id": row.id, "delivery_id": row.delivery_id} | _claimable(row)


def _promise(row: Promise) -> Record:
    is_asked = row.state in {PromiseState.PENDING, PromiseState.ASKING, PromiseState.ASKED}
    return {
        "promise_id": row.id,
        "calling_ae_title": row.calling_ae_title,
        "request_uid": row.request_uid,
        "archive": row.archive,
        "destination": (row.archive or "the archive") if is_asked else row.calling_ae_title,
    } | _claimable(row)


def _promised(row: PromisedInstance) -> Record:
    return {
        "sop_class_uid": row.sop_class_uid,
        "sop_instance_uid": row.sop_instance_uid,
        "is_committed": None if row.status is None else row.status == COMMITTED,
        "failure_reason": f"0x{row.status:04X}" if row.status else None,
    }


def _withdrawal(row: Withdrawal) -> Record:
    return {
        "withdrawal_id": row.id,
        "study_id": row.study_id,
        "revision": row.revision,
        "rejection": row.rejection.value,
        "explanation": row.explanation,
        "asked_by": row.asked_by,
        "asked_at": row.created_at.isoformat(),
    } | _claimable(row)


def _document(row: Document, taken_back: int) -> Record:
    """Return a document; *taken_back* is the latest revision of its study that was withdrawn."""
    note = row.kind in NOTES
    return {
        "document_id": row.id,
        "revision": row.revision,
        "kind": row.kind,
        "is_made": row.kept_path is None,
        "is_note": note,
        "is_withdrawn": not note and row.revision <= taken_back,
        "sop_instance_uid": row.sop_instance_uid,
        "model": f"{row.model_name} {row.model_version}",
        "model_digest": row.model_digest,
        "input_sop_instance_uids": row.input_sop_instance_uids,
        "path": row.object_path,
        "created_at": row.created_at.isoformat(),
    }
