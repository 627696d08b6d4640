"""Documents: their rows, their deliveries, and the state of a study that follows from both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.work.job import DeliveryState
from echo_node.domain.work.kinds import SENDING
from echo_node.domain.work.lifecycle import StudyEvent, StudyState
from echo_node.errors import PermanentError
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.rows import insert_if_absent, move
from echo_node.storage.database.tables import Delivery, Document, Study
from echo_node.storage.ledgers.withdrawn import is_note, settle_withdrawal, standing_drafts
from echo_node.storage.objects.outbox import Outbox

log = structlog.get_logger()


def latest_earlier(session: Session, document: Document) -> Document | None:
    """Return the last standing document of its kind from an earlier revision, if any."""
    query = (
        standing_drafts(document.study_id)
        .where(
            Document.kind == document.kind,
            Document.revision < document.revision,
            Document.kept_path.is_(None),
        )
        .order_by(Document.revision.desc(), Document.id.desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def readable(outbox: Outbox, row: Document, study_instance_uid: str) -> EncodedDocument | None:
    """Return the document of a row; None if its file is damaged.

    A new draft is worth more than the mention of the draft before it.
    """
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


def add_deliveries(
    session: Session,
    document: Document,
    destinations: Mapping[str, Collection[str]],
    now: datetime,
    *,
    dead_because: str | None = None,
) -> int:
    """Create the missing deliveries of a document, and return their number.

    Every destination that gets the document's kind has a delivery. With *dead_because* they are
    dead letters with this reason, because there is nothing to send.
    """
    getting = [name for name, kinds in destinations.items() if document.kind in kinds]
    return sum(add_delivery(session, document.id, name, now, dead_because) for name in getting)


def add_delivery(
    session: Session, document_id: int, destination: str, now: datetime, dead_because: str | None = None
) -> bool:
    """Create the delivery of a document to a destination; return whether it was missing."""
    notify(session, SENDING.topic)
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


def is_current(session: Session, document_id: int, study_id: int) -> bool:
    """Return whether a document belongs to the study's latest drafted revision."""
    return document_id in {document.id for document in current_documents(session, study_id)}


def settle(session: Session, study: Study, now: datetime) -> None:
    """Update a drafted study (locked) if its documents reached, or failed, every destination.

    A study that is being withdrawn is updated by the deliveries of its notes.
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
        reason = f"{', '.join(unmade)} could not be made" if unmade else "a destination refused the draft"
        move(study, StudyEvent.DELIVERY_GAVE_UP, now, reason)
    else:
        move(study, StudyEvent.ALL_DELIVERED, now)
