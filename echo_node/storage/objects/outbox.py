"""Outbox: encoded documents, each written once and read for every send.

Files come first, rows second. `DurableWrite` is the only place that keeps the two in step.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.identifiers import checked_uid
from echo_node.errors import PermanentError, TransientError
from echo_node.storage.objects.store import OUTBOX, ObjectStore

log = structlog.get_logger()


class Outbox:
    """Stored documents. Each write makes a new object.

    Args:
        objects: store of the documents.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def write(self) -> DurableWrite:
        """Return the context manager for files and the rows that name them."""
        return DurableWrite(self)

    def put(self, document: EncodedDocument) -> Path:
        """Write the document durably and return its path, as rows name it.

        Raises:
            TransientError: the disk is full or failing, or the object store does not accept it.
        """
        suffix = ".dcm" if document.is_dicom else ".hl7"
        return self._put(document.sop_instance_uid, suffix, document.content)

    def keep(self, sop_instance_uid: str, content: bytes) -> Path:
        """Write a pending draft durably, from which the document of this UID will be made.

        Returns:
            The path of the draft.

        Raises:
            TransientError: as for `put`.
        """
        return self._put(sop_instance_uid, ".json", content)

    def _put(self, sop_instance_uid: str, suffix: str, content: bytes) -> Path:
        name = checked_uid(sop_instance_uid, "SOPInstanceUID", strict=True)
        path = Path(OUTBOX, f"{name}-{secrets.token_hex(4)}{suffix}")
        try:
            self._objects.put(path.as_posix(), (content,))
        except OSError as error:
            raise TransientError(f"the outbox cannot be written ({type(error).__name__})") from error
        return path

    def read(self, path: str, sha256: str) -> bytes:
        """Return the document's bytes, exactly as they were written.

        Raises:
            PermanentError: the document is missing, unreadable or changed.
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
        """Remove a document that no row names: its worker died, and another drafted the study."""
        self._objects.remove(path)
        log.info("orphan_removed", kind="outbox")

    def discard(self, path: Path | str) -> None:
        """Remove a document that no row names."""
        self._objects.remove(str(path))


class DurableWrite:
    """Files and the rows that name them: both become durable, or neither does.

    Write the files first and commit the rows last, in one block:

        with outbox.write() as files:
            path = files.put(document)
            record(path)  # one transaction

    An exception discards the files if it proves that no row was committed. After a TransientError
    of the commit, or an interruption of the process, the rows may exist although the answer was
    lost. The files then stay. If no row names them, the sweep of orphans removes them later.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._paths: list[Path] = []

    def put(self, document: EncodedDocument) -> Path:
        """Write a document, as `Outbox.put` does."""
        return self._written(lambda: self._outbox.put(document))

    def keep(self, sop_instance_uid: str, content: bytes) -> Path:
        """Write a draft, as `Outbox.keep` does."""
        return self._written(lambda: self._outbox.keep(sop_instance_uid, content))

    def _written(self, write: Callable[[], Path]) -> Path:
        with ExitStack() as on_failure:
            on_failure.callback(self._discard)
            path = write()
            on_failure.pop_all()
        self._paths.append(path)
        return path

    def _discard(self) -> None:
        while self._paths:
            self._outbox.discard(self._paths.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, TransientError):
            self._discard()
