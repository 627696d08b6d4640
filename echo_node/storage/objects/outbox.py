"""The outbox: encoded documents, written once, read for every send."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import structlog

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.identifiers import checked_uid
from echo_node.errors import PermanentError, TransientError
from echo_node.storage.objects.store import OUTBOX, ObjectStore

log = structlog.get_logger()


class Outbox:
    """Documents; each write makes an object of its own.

    Args:
        objects: where they are kept.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def put(self, document: EncodedDocument) -> Path:
        """Write the document durably and return its path, as rows name it.

        Raises:
            TransientError: the disk is full or failing, or the object store does not take it.
        """
        suffix = ".dcm" if document.is_dicom else ".hl7"
        return self._put(document.sop_instance_uid, suffix, document.content)

    def keep(self, sop_instance_uid: str, content: bytes) -> Path:
        """Write a draft durably that a document of this UID is to be made from, and return its path.

        Raises:
            TransientError: as `put`.
        """
        return self._put(sop_instance_uid, ".json", content)

    def _put(self, sop_instance_uid: str, suffix: str, content: bytes) -> Path:
        name = checked_uid(sop_instance_uid, "SOPInstanceUID")
        path = Path(OUTBOX, f"{name}-{secrets.token_hex(4)}{suffix}")
        try:
            self._objects.put(path.as_posix(), (content,))
        except OSError as error:
            raise TransientError(f"the outbox cannot be written ({type(error).__name__})") from error
        return path

    def read(self, path: str, sha256: str) -> bytes:
        """Return the document's bytes, just as they were written.

        Raises:
            PermanentError: the document is gone, cannot be read, or is not what was written.
            TransientError: the object store does not answer.
        """
        try:
            content = self._objects.read(path)
        except PermanentError as error:
            raise PermanentError(f"the document is lost: {error}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise PermanentError("the document's file has been changed since it was written")
        return content

    def remove_orphan(self, path: str) -> None:
        """Remove a document that no row refers to: whoever drafted it died, and it was drafted anew."""
        self._objects.remove(path)
        log.info("orphan_removed", kind="outbox")

    def discard(self, path: Path | str) -> None:
        """Remove a document that no row refers to."""
        self._objects.remove(str(path))
