"""Unmade forms: their drafts, and the transaction that stores a form when it is made.

An unmade form has a row with its future UID, and its deliveries are dead letters. The row names the
pending draft until the form is made and has its own file. After that, the row never changes again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select, update

from echo_node.domain.drafts.draft import Draft, UnmadeForm
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.studies.attributes import NOT_READ
from echo_node.domain.work.job import DeliveryJob
from echo_node.errors import PermanentError
from echo_node.storage.database.engine import Database
from echo_node.storage.database.rows import lock_study
from echo_node.storage.database.tables import Document, Instance, Study
from echo_node.storage.ledgers import pending_drafts
from echo_node.storage.ledgers.documents import latest_earlier, readable
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.objects.spool import stored_instance
from echo_node.storage.objects.store import ObjectStore


class Forms:
    """Implements the FormLedger port.

    Args:
        database: storage of rows.
        objects: storage of instances.
        outbox: storage of documents and pending drafts.
    """

    def __init__(self, database: Database, objects: ObjectStore, outbox: Outbox) -> None:
        self._database = database
        self._objects = objects
        self._outbox = outbox

    @contextmanager
    def unmade(self, job: DeliveryJob) -> Iterator[UnmadeForm | None]:
        """Yield the form of the delivery's document that is still unmade; None if it is made."""
        with self._database.read() as session:
            row = session.get_one(Document, job.document_id)
            session.expunge_all()
        if row.kept_path is None or row.kept_sha256 is None:
            yield None
            return
        with self._database.read() as session:
            uid = session.get_one(Study, row.study_id).study_instance_uid
            images = session.scalars(
                select(Instance).where(
                    Instance.study_id == row.study_id,
                    Instance.sop_instance_uid.in_(row.input_sop_instance_uids),
                )
            ).all()
            earlier = latest_earlier(session, row)
            session.expunge_all()
        content = self._outbox.read(row.kept_path, row.kept_sha256)
        predecessor = readable(self._outbox, earlier, uid) if earlier else None
        draft = _draft(content, uid, images, [Path(image.path) for image in images])
        if draft.attributes != NOT_READ:
            yield UnmadeForm(row.kind, draft, predecessor)
            return
        # An earlier program version stored the draft: the image's header must be read again.
        if any(image.removed_at is not None for image in images):
            raise PermanentError(f"{row.kind} can no longer be made: the images that were read were removed")
        with self._objects.local_paths([image.path for image in images]) as paths:
            yield UnmadeForm(row.kind, _draft(content, uid, images, paths), predecessor)

    def store(self, job: DeliveryJob, document: EncodedDocument) -> None:
        """Make the document durable. If another worker was faster, its document stays."""
        with self._outbox.write() as files:
            path = files.put(document)
            is_first, needless = self._record(job, document, str(path))
        if not is_first:
            self._outbox.discard(path)
        if needless is not None:
            self._outbox.discard(needless)

    def _record(self, job: DeliveryJob, document: EncodedDocument, path: str) -> tuple[bool, str | None]:
        """Return whether this is the document, and the pending draft if no row needs it now."""
        with self._database.write() as session:
            lock_study(session, job.study_id)
            row = session.get_one(Document, job.document_id, populate_existing=True)
            if row.kept_path is None:
                return False, None
            if (row.kind, row.sop_instance_uid) != (document.kind, document.sop_instance_uid):
                raise PermanentError(f"what was made is not document {row.id}: it stays unmade")
            kept = row.kept_path
            session.execute(
                update(Document)
                .where(Document.id == row.id)
                .values(
                    sop_class_uid=document.sop_class_uid,
                    transfer_syntax_uid=document.transfer_syntax_uid,
                    sha256=hashlib.sha256(document.content).hexdigest(),
                    path=path,
                    kept_path=None,
                    kept_sha256=None,
                )
            )
            others = session.scalar(select(Document.id).where(Document.kept_path == kept).limit(1))
            return True, None if others else kept


def _draft(
    content: bytes, study_instance_uid: str, images: Sequence[Instance], paths: Sequence[Path]
) -> Draft:
    """Return a stored draft of images whose files are at *paths*."""
    instances = {
        image.sop_instance_uid: stored_instance(image, study_instance_uid, path)
        for image, path in zip(images, paths, strict=True)
    }
    return pending_drafts.decoded(content, instances)
