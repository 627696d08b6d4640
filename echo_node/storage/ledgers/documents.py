"""Drafts: what a drafting job needs from storage, and the one transaction that ends it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from echo_node.domain.drafts.draft import Unmade
from echo_node.domain.drafts.report import EncodedDocument, ModelIdentity
from echo_node.domain.identifiers import document_uid
from echo_node.domain.ports import Clock
from echo_node.domain.studies.study import Selection, StoredInstance
from echo_node.domain.work.job import DeliveryState, DraftJob, JobState
from echo_node.domain.work.lifecycle import StudyEvent, StudyState
from echo_node.domain.work.withdrawal import Conflict, Standing
from echo_node.errors import PermanentError
from echo_node.storage.database.claims import Claims
from echo_node.storage.database.engine import Database
from echo_node.storage.database.notifications import DELIVERIES, notify
from echo_node.storage.database.rows import insert_if_absent, lock_study, move
from echo_node.storage.database.tables import Delivery, Document, Instance, Job, Study
from echo_node.storage.ledgers import pending_drafts
from echo_node.storage.ledgers.withdrawn import is_note, settle_withdrawal, standing_drafts, withdraw
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.objects.spool import stored_instance
from echo_node.storage.objects.store import ObjectStore

log = structlog.get_logger()


class Drafts:
    """A drafting job's instances and its documents (domain.ports.DraftLedger).

    Args:
        database: where rows are kept.
        objects: where instances are kept.
        outbox: where documents are kept.
        clock: the time.
        claims: the claiming of jobs.
        destinations: which kinds of document each peer gets.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        outbox: Outbox,
        clock: Clock,
        claims: Claims[Job],
        *,
        destinations: Mapping[str, Collection[str]],
    ) -> None:
        self._database = database
        self._objects = objects
        self._outbox = outbox
        self._clock = clock
        self._claims = claims
        self._destinations = destinations

    @contextmanager
    def instances(self, job: DraftJob) -> Iterator[Sequence[StoredInstance]]:
        """Yield the study's instances that are kept, in order of arrival, their files at hand."""
        query = (
            select(Instance)
            .where(Instance.study_id == job.study_id, Instance.removed_at.is_(None))
            .order_by(Instance.id)
        )
        with self._database.read() as session:
            rows = session.scalars(query).all()
            session.expunge_all()
        with self._objects.local_paths([row.path for row in rows]) as paths:
            yield [
                stored_instance(row, job.study_instance_uid, path)
                for row, path in zip(rows, paths, strict=True)
            ]

    def is_drafted(self, job: DraftJob, selection: Selection) -> bool:
        """Say whether the study's latest draft, if it stands, was made from just these images."""
        latest = (
            standing_drafts(job.study_id)
            .with_only_columns(Document.selection_sha256)
            .order_by(Document.revision.desc(), Document.id.desc())
            .limit(1)
        )
        with self._database.read() as session:
            return session.scalar(latest) == selection_digest(selection)

    def predecessor(self, job: DraftJob, kind: str) -> EncodedDocument | None:
        """Return the study's last document of this kind from an earlier revision; None if there is none."""
        return predecessor_of(
            self._database,
            self._outbox,
            job.study_id,
            job.study_instance_uid,
            revision=job.revision,
            kind=kind,
        )

    def standing(self, job: DraftJob) -> Standing:
        """Return the study's drafts that have not been withdrawn, those of the latest revision."""
        with self._database.read() as session:
            rows = standing_documents(session, job.study_id)
            late = select(Instance.sop_instance_uid).where(
                Instance.study_id == job.study_id,
                Instance.revision > max((row.revision for row in rows), default=job.revision),
            )
            uids = frozenset(session.scalars(late))
            session.expunge_all()
        made = [row for row in rows if row.kept_path is None]
        read = [readable(self._outbox, row, job.study_instance_uid) for row in made]
        return Standing(tuple(each for each in read if each is not None), uids)

    def withdraw(self, job: DraftJob, conflict: Conflict) -> None:
        """End the job without a draft, and withdraw those that stand."""
        now = self._clock.now()
        with self._database.write() as session:
            study = lock_study(session, job.study_id)
            self._claims.end(session, job.lease, now, state=JobState.SKIPPED, reason=conflict.explanation)
            withdraw(session, study, now, conflict.reason, conflict.explanation)
        log.warning(
            "study_withdrawn", study_id=job.study_id, revision=job.revision, reason=conflict.explanation
        )

    def keep_earlier(self, job: DraftJob) -> None:
        """Finish the job without a new draft: the earlier one still stands."""
        now = self._clock.now()
        with self._database.write() as session:
            study = lock_study(session, job.study_id)
            reason = "the same images as the earlier draft"
            self._claims.end(session, job.lease, now, state=JobState.DONE, reason=reason)
            move(study, StudyEvent.UNCHANGED, now)
            settle(session, study, now)

    def store(
        self,
        job: DraftJob,
        documents: Sequence[EncodedDocument],
        selection: Selection,
        model: ModelIdentity,
        unmade: Unmade | None = None,
    ) -> None:
        """Make the documents durable; then finish the job and create the deliveries, all or nothing."""
        kept = _Kept.of(unmade, selection) if unmade else None
        with self._outbox.write() as files:
            paths = [files.put(document) for document in documents]
            if kept:
                paths.append(files.keep(kept.documents[0].sop_instance_uid, kept.content))
            document_ids = self._record(job, documents, paths, selection, model, kept)
        for document_id in document_ids:
            log.info("draft_stored", study_id=job.study_id, revision=job.revision, document_id=document_id)

    def _record(
        self,
        job: DraftJob,
        documents: Sequence[EncodedDocument],
        files: Sequence[Path],
        selection: Selection,
        model: ModelIdentity,
        kept: _Kept | None,
    ) -> Sequence[int]:
        now = self._clock.now()
        with self._database.write() as session:
            study = lock_study(session, job.study_id)
            self._claims.end(session, job.lease, now, state=JobState.DONE)
            made_of = {
                "study_id": job.study_id,
                "revision": job.revision,
                "model_name": model.name,
                "model_version": model.version,
                "model_digest": model.digest,
                "selection_sha256": selection_digest(selection),
                "input_sop_instance_uids": _uids(selection),
                "created_at": now,
            }
            rows = [
                Document(**made_of, **_naming(document), sha256=_digest(document.content), path=str(path))
                for document, path in zip(documents, files, strict=False)  # the kept draft is the last file
            ]
            unmade = [
                Document(
                    **made_of, **_naming(document), sha256="", path="",
                    kept_path=str(files[-1]), kept_sha256=_digest(kept.content),
                )
                for document in kept.documents
            ] if kept else []  # fmt: skip
            session.add_all([*rows, *unmade])
            session.flush()
            for row in rows:
                add_deliveries(session, row, self._destinations, now)
            for row in unmade:
                reason = f"{row.kind} could not be made: {kept.reasons[row.kind]}" if kept else ""
                add_deliveries(session, row, self._destinations, now, dead_because=reason)
            move(study, StudyEvent.DRAFT_STORED, now)
            settle(session, study, now)
            return [row.id for row in rows]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A draft that forms are to be made from later: those forms, without content, and why they failed."""

    documents: tuple[EncodedDocument, ...]
    reasons: Mapping[str, str]
    content: bytes

    @classmethod
    def of(cls, unmade: Unmade, selection: Selection) -> _Kept:
        draft = unmade.draft
        digest, inputs = draft.report.model.digest, _uids(selection)
        documents = [
            EncodedDocument(
                kind,
                draft.study_instance_uid,
                document_uid(draft.study_instance_uid, draft.revision, digest, kind, inputs),
                "",
                "",
                b"",
            )
            for kind in unmade.reasons
        ]
        return cls(tuple(documents), unmade.reasons, pending_drafts.encoded(draft))


def _uids(selection: Selection) -> list[str]:
    return [image.instance.identity.sop_instance_uid for image in selection.images]


def _naming(document: EncodedDocument) -> dict[str, str]:
    return {
        "kind": document.kind,
        "sop_instance_uid": document.sop_instance_uid,
        "sop_class_uid": document.sop_class_uid,
        "transfer_syntax_uid": document.transfer_syntax_uid,
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def predecessor_of(
    database: Database, outbox: Outbox, study_id: int, study_instance_uid: str, *, revision: int, kind: str
) -> EncodedDocument | None:
    """Return the study's last document of this kind from before this revision; None if there is none.

    One whose file is damaged is left out: the new draft is worth more than the mention of the old one.
    """
    latest = (
        standing_drafts(study_id)
        .where(Document.kind == kind, Document.revision < revision, Document.kept_path.is_(None))
        .order_by(Document.revision.desc(), Document.id.desc())
        .limit(1)
    )
    with database.read() as session:
        row = session.scalars(latest).one_or_none()
        if row is None:
            return None
        session.expunge(row)
    return readable(outbox, row, study_instance_uid)


def readable(outbox: Outbox, row: Document, study_instance_uid: str) -> EncodedDocument | None:
    """Return the document of a row; None if its file is damaged."""
    try:
        content = outbox.read(row.path, row.sha256)
    except PermanentError as error:
        log.warning("draft_unreadable", study_id=row.study_id, document_id=row.id, reason=str(error))
        return None
    return encoded_document(row, study_instance_uid, content)


def encoded_document(row: Document, study_instance_uid: str, content: bytes) -> EncodedDocument:
    """Return the document of a row and its file's content."""
    return EncodedDocument(
        row.kind,
        study_instance_uid,
        row.sop_instance_uid,
        row.sop_class_uid,
        row.transfer_syntax_uid,
        content,
    )


def selection_digest(selection: Selection) -> str:
    """Return what names the images that a draft was made from: their UIDs and contents, in no order."""
    lines = sorted(
        f"{image.instance.identity.sop_instance_uid} {image.instance.data_set_sha256}\n"
        for image in selection.images
    )
    return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()


def add_deliveries(
    session: Session,
    document: Document,
    destinations: Mapping[str, Collection[str]],
    now: datetime,
    *,
    dead_because: str | None = None,
) -> int:
    """Create the deliveries of a document to those that get its kind; return how many there were not yet.

    With a reason they are dead letters: there is nothing to send.
    """
    getting = [name for name, kinds in destinations.items() if document.kind in kinds]
    return sum(add_delivery(session, document.id, name, now, dead_because) for name in getting)


def add_delivery(
    session: Session, document_id: int, destination: str, now: datetime, dead_because: str | None = None
) -> bool:
    """Create the delivery of a document to a destination unless there is one; say whether it was created."""
    notify(session, DELIVERIES)
    return insert_if_absent(
        session,
        Delivery,
        document_id=document_id,
        destination=destination,
        state=DeliveryState.PENDING if dead_because is None else DeliveryState.DEAD,
        reason=dead_because,
        attempt=0,
        tries=0,
        available_at=now,
        created_at=now,
        changed_at=now,
    )


def current_documents(session: Session, study_id: int) -> Sequence[Document]:
    """Return the documents of the study's latest drafted revision, withdrawn or not."""
    latest = select(func.max(Document.revision)).where(Document.study_id == study_id, ~is_note)
    query = select(Document).where(
        Document.study_id == study_id, ~is_note, Document.revision == latest.scalar_subquery()
    )
    return session.scalars(query.order_by(Document.id)).all()


def standing_documents(session: Session, study_id: int) -> Sequence[Document]:
    """Return the documents of the study's latest drafted revision, unless it was withdrawn."""
    rows = session.scalars(standing_drafts(study_id).order_by(Document.id)).all()
    latest = max((row.revision for row in rows), default=0)
    return [row for row in rows if row.revision == latest]


def is_current(session: Session, document_id: int, study_id: int) -> bool:
    """Say whether a document is of the study's latest drafted revision."""
    return document_id in {document.id for document in current_documents(session, study_id)}


def settle(session: Session, study: Study, now: datetime) -> None:
    """Move a drafted study (locked) on, if its current documents have reached, or failed, every peer.

    One that is being withdrawn moves on with its notes.
    """
    if study.state is StudyState.WITHDRAWING:
        settle_withdrawal(session, study, now)
    if study.state is not StudyState.DRAFTED:
        return
    documents = current_documents(session, study.id)
    ids = [document.id for document in documents]
    states = set(session.scalars(select(Delivery.state).where(Delivery.document_id.in_(ids))))
    if not states or states & {DeliveryState.PENDING, DeliveryState.SENDING}:
        return
    if DeliveryState.DEAD in states:
        unmade = [document.kind for document in documents if document.kept_path is not None]
        reason = (
            f"{', '.join(unmade)} could not be made" if unmade else "a destination did not take the draft"
        )
        move(study, StudyEvent.DELIVERY_GAVE_UP, now, reason)
    else:
        move(study, StudyEvent.ALL_DELIVERED, now)
