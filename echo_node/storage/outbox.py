"""The outbox: the files of encoded documents, written once, read for every send."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from pathlib import Path

from echo_node.domain.identifiers import checked_uid
from echo_node.domain.report import EncodedDocument
from echo_node.errors import PermanentError, TransientError
from echo_node.storage.durable import clear_leftovers, make_folder_durably, write_durably


class Outbox:
    """Documents below `data_dir/outbox`; each write makes a file of its own.

    Args:
        data_dir: the data folder; paths in the database are relative to it.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._folder = self._data_dir / "outbox"
        self._temporary = self._folder / "tmp"
        make_folder_durably(self._temporary)

    def put(self, document: EncodedDocument) -> Path:
        """Write the document durably and return its path, relative to the data folder.

        Raises:
            TransientError: the disk is full or failing; nothing is left behind.
        """
        name = checked_uid(document.sop_instance_uid, "SOPInstanceUID")
        suffix = ".dcm" if document.is_dicom else ".hl7"
        target = self._folder / f"{name}-{secrets.token_hex(4)}{suffix}"
        try:
            write_durably(target, (document.content,), temporary_folder=self._temporary)
        except OSError as error:
            raise TransientError(f"the outbox cannot be written ({type(error).__name__})") from error
        return target.relative_to(self._data_dir)

    def read(self, path: str, sha256: str) -> bytes:
        """Return the document's bytes, just as they were written.

        Raises:
            PermanentError: the file is gone, cannot be read, or is not what was written.
        """
        try:
            part10 = (self._data_dir / path).read_bytes()
        except OSError as error:
            raise PermanentError(f"the document's file cannot be read ({type(error).__name__})") from error
        if hashlib.sha256(part10).hexdigest() != sha256:
            raise PermanentError("the document's file has been changed since it was written")
        return part10

    def discard(self, path: Path) -> None:
        """Remove a file that no row refers to."""
        with suppress(OSError):
            (self._data_dir / path).unlink(missing_ok=True)

    def clear_leftovers(self) -> int:
        """Remove what killed processes left half-written; return how many files that were."""
        return clear_leftovers(self._temporary)
