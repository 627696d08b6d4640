"""Withdrawals: drafts are withdrawn, and the notes about them are made and stored.

    pending → preparing (a worker makes the notes) → prepared (they are documents, with deliveries)

Notes are made only when no draft of the study is being sent, so that no note overtakes a draft. One
note covers all objects that a destination confirmed. An object whose delivery is uncertain gets its
own note, since an archive may refuse a whole note that names one unknown object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from echo_node import __version__
from echo_node.domain.drafts.draft import MANUFACTURER
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.work.hold import HoldEnding
from echo_node.domain.work.job import DeliveryState
from echo_node.domain.work.kinds import DRAFTING, MAKING_NOTES, WITHDRAWAL
from echo_node.domain.work.lifecycle import StudyEvent
from echo_node.domain.work.withdrawal import WithdrawalJob, WithdrawalReason, WithdrawalState, WithdrawnDrafts
from echo_node.errors import PermanentError
from echo_node.storage.database.claims import lease_of
from echo_node.storage.database.drafting_order import enqueue
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.rows import lock_study, move
from echo_node.storage.database.tables import Delivery, Document, Study, Withdrawal
from echo_node.storage.ledgers.documents import add_delivery, encoded_document
from echo_node.storage.ledgers.holds import end_hold
from echo_node.storage.ledgers.withdrawn import (
    NOTES,
    WITHDRAWN,
    is_note,
    settle_withdrawal,
    withdraw,
    withdrawn_up_to,
)
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.queues.work_queue import QueueContext, SqlWorkQueue

log = structlog.get_logger()

_CONFIRMED = (DeliveryState.DELIVERED, DeliveryState.DELIVERED_WITH_WARNING)


class WithdrawalQueue(SqlWorkQueue[Withdrawal, WithdrawalJob]):
    """Withdrawals of drafts. Implements the WithdrawalLedger port too.

    Args:
        context: surroundings of the queue.
        outbox: store of the documents.
    """

    table, kind, step = Withdrawal, WITHDRAWAL, MAKING_NOTES

    def __init__(self, context: QueueContext, outbox: Outbox) -> None:
        super().__init__(context)
        self._outbox = outbox

    def withdraw(self, study_id: int, rejection: WithdrawalReason, asked_by: str) -> bool:
        """Withdraw a study's drafts, and draft it no longer; return whether this call did so.

        Raises:
            PermanentError: there is no such study.
        """
        now = self._clock.now()
        with self._database.write() as session:
            done = withdraw(session, _locked(session, study_id), now, rejection, "", asked_by)
        if done:
            log.info("study_withdrawn", study_id=study_id, reason=rejection.value)
        return done

    def redraft(self, study_id: int) -> int:
        """Draft a withdrawn study again, as another revision; return the revision.

        Raises:
            PermanentError: there is no such study, or it is not withdrawn.
        """
        now = self._clock.now()
        with self._database.write() as session:
            study = _locked(session, study_id)
            if study.state not in WITHDRAWN:
                raise PermanentError(
                    f"study {study_id} is {study.state}: only a withdrawn study can be drafted again"
                )
            study.revision += 1
            move(study, StudyEvent.REDRAFT, now)
            end_hold(session, study_id, HoldEnding.REDRAFT, "", now)
            enqueue(session, study, now)
            notify(session, DRAFTING.topic)
            revision = study.revision
        log.info("study_redrafted", study_id=study_id, revision=revision)
        return revision

    def withdrawn_drafts(self, job: WithdrawalJob) -> Sequence[WithdrawnDrafts]:
        """Return the drafts of each note; none if no destination can have a draft."""
        with self._database.read() as session:
            uid = session.scalars(select(Study.study_instance_uid).where(Study.id == job.study_id)).one()
            groups = _groups(session, job)
            session.expunge_all()
        return [
            WithdrawnDrafts(
                tuple(
                    encoded_document(row, uid, self._outbox.read(row.path, row.sha256)) for row in documents
                ),
                tuple(destinations),
                job.reason,
                job.at,
            )
            for documents, destinations in groups
        ]

    def store(self, job: WithdrawalJob, notes: Sequence[tuple[WithdrawnDrafts, EncodedDocument]]) -> None:
        """Make the notes durable; then end the claim and create the deliveries of the notes."""
        with self._outbox.write() as files:
            self._record(job, [(drafts, note, files.put(note)) for drafts, note in notes])
        log.info("withdrawal_prepared", study_id=job.study_id, revision=job.revision, count=len(notes))

    def _record(
        self, job: WithdrawalJob, written: Sequence[tuple[WithdrawnDrafts, EncodedDocument, Path]]
    ) -> None:
        now = self._clock.now()
        with self._database.write() as session:
            study = lock_study(session, job.study_id)
            self.claims.end(session, job.lease, now, state=WithdrawalState.PREPARED)
            for drafts, note, path in written:
                row = _note(job, drafts, note, path, now)
                session.add(row)
                session.flush()
                for destination in drafts.destinations:
                    add_delivery(session, row.id, destination, now)
            if study.state in WITHDRAWN:
                settle_withdrawal(session, study, now)

    def _due(self, now: datetime) -> Select[int]:
        draft, sending = aliased(Document), aliased(Delivery)
        is_being_sent = (
            select(sending.id)
            .join(draft, draft.id == sending.document_id)
            .where(
                draft.study_id == Withdrawal.study_id,
                draft.revision <= Withdrawal.revision,
                draft.kind.not_in(NOTES),
                sending.state == DeliveryState.SENDING,
            )
        )
        return super()._due(now).where(~is_being_sent.exists())

    def _claimed(self, session: Session, row: Withdrawal, now: datetime) -> WithdrawalJob:
        return WithdrawalJob(lease_of(row), row.study_id, row.revision, row.rejection, row.created_at)


def _locked(session: Session, study_id: int) -> Study:
    if session.scalar(select(Study.id).where(Study.id == study_id)) is None:
        raise PermanentError(f"there is no study {study_id}")
    return lock_study(session, study_id)


def _groups(session: Session, job: WithdrawalJob) -> list[tuple[list[Document], list[str]]]:
    """Return the documents of each note, the latest last, and the destinations that receive it."""
    query = (
        select(Document, Delivery)
        .join(Delivery, Delivery.document_id == Document.id)
        .where(
            Document.study_id == job.study_id,
            ~is_note,
            Document.revision <= job.revision,
            Document.revision > withdrawn_up_to(job.study_id, below=job.revision),
            Document.kept_path.is_(None),  # a form that was never made was never sent
            Delivery.attempt > 0,
        )
        .order_by(Document.revision, Document.id)
    )
    objects: dict[str, list[Document]] = {}
    alone: list[tuple[Document, str]] = []
    for document, delivery in session.execute(query):
        if document.sop_class_uid and delivery.state in _CONFIRMED:
            objects.setdefault(delivery.destination, []).append(document)
        else:
            alone.append((document, delivery.destination))
    groups: dict[tuple[int, ...], tuple[list[Document], list[str]]] = {}
    each = [([document], destination) for document, destination in alone]
    for documents, destination in [*((found, name) for name, found in objects.items()), *each]:
        key = tuple(document.id for document in documents)
        groups.setdefault(key, (documents, []))[1].append(destination)
    return list(groups.values())


def _note(
    job: WithdrawalJob, drafts: WithdrawnDrafts, note: EncodedDocument, path: Path, now: datetime
) -> Document:
    uids = [document.sop_instance_uid for document in drafts.documents]
    return Document(
        study_id=job.study_id,
        revision=job.revision,
        model_name=MANUFACTURER,
        model_version=__version__,
        model_digest=hashlib.sha256(note.sop_instance_uid.encode()).hexdigest(),
        kind=note.kind,
        sop_instance_uid=note.sop_instance_uid,
        sop_class_uid=note.sop_class_uid,
        transfer_syntax_uid=note.transfer_syntax_uid,
        sha256=hashlib.sha256(note.content).hexdigest(),
        path=str(path),
        selection_sha256=hashlib.sha256("\n".join(uids).encode()).hexdigest(),
        input_sop_instance_uids=uids,
        created_at=now,
    )
