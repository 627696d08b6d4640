"""The spool: each received instance in a durable object of its own, a file or what is kept as one elsewhere.

It is named by its data set's digest and a token that makes it this call's own: no other call ever
writes or removes it, so two senders of the same instance cannot harm each other. Nothing that a peer
sent becomes part of a path.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import structlog

from echo_node.domain.studies.intake import Piece
from echo_node.domain.studies.study import InstanceFile, InstanceIdentity, StoredInstance
from echo_node.errors import InstanceRejected
from echo_node.storage.database.tables import Instance
from echo_node.storage.objects.store import SPOOL, ObjectStore, Unfinished

log = structlog.get_logger()

OUT_OF_RESOURCES = 0xA700
"""PS3.4 Table B.2-1: refused, out of resources; the sender may try again."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Spool:
    """The instances' objects.

    Args:
        objects: where they are kept.
        minimum_free_bytes: below this much free disk nothing is written.
    """

    def __init__(self, objects: ObjectStore, minimum_free_bytes: int) -> None:
        self._objects = objects
        self._minimum_free_bytes = minimum_free_bytes

    @contextmanager
    def begin(self) -> Iterator[SpoolFile]:
        """Begin an instance's file (see domain.intake.InstanceFiles)."""
        self._refuse_if_low(0)
        with ExitStack() as stack:
            with _refusing():
                unfinished = stack.enter_context(self._objects.begin(SPOOL))
            yield SpoolFile(unfinished, self._refuse_if_low)

    def discard(self, file: InstanceFile) -> None:
        """Remove a file that no row refers to."""
        self.remove(str(file.path))

    @property
    def used_share(self) -> float:
        """How much of what instances are kept in is in use, between 0 and 1."""
        return self._objects.used_share

    def remove(self, path: str) -> None:
        """Remove a file whose row says that it is removed; what fails is an orphan for the sweep."""
        self._objects.remove(path)

    def remove_orphan(self, path: str) -> None:
        """Remove a whole file that no row refers to: its sender was never told that it is stored."""
        self.remove(path)
        log.info("orphan_removed", kind="spool")

    def _refuse_if_low(self, size: int) -> None:
        free = self._objects.free_bytes
        if free - size < self._minimum_free_bytes:
            raise InstanceRejected(
                OUT_OF_RESOURCES, f"only {free} bytes of disk are free: intake.minimum_free_bytes stops here"
            )


class SpoolFile:
    """An instance's file that is being written (domain.intake.UnfinishedFile).

    Args:
        unfinished: what becomes its object.
        refuse_if_low: raises InstanceRejected if there is no room for so many bytes.
    """

    def __init__(self, unfinished: Unfinished, refuse_if_low: Callable[[int], None]) -> None:
        self._unfinished = unfinished
        self._refuse_if_low = refuse_if_low
        self._size = 0

    def write(self, piece: Piece) -> None:
        """Append (see domain.intake.UnfinishedFile)."""
        self._refuse_if_low(len(piece))
        with _refusing():
            self._unfinished.file.write(piece)
        self._size += len(piece)

    def read_from(self, position: int) -> BinaryIO:
        """Return the file, to be read from *position* on; nothing is written to it any more."""
        with _refusing():
            self._unfinished.file.seek(position)
        return self._unfinished.file

    def keep(self, digest: str) -> InstanceFile:
        """Make the file durable under a name of its own (see domain.intake.UnfinishedFile)."""
        path = Path(SPOOL, digest[:2], f"{digest}-{secrets.token_hex(4)}.dcm")
        with _refusing():
            self._unfinished.keep(path.as_posix())
        return InstanceFile(path, digest, self._size)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = "the disk is full" if error.errno in _NO_ROOM else "the spool cannot be written"
        raise InstanceRejected(
            OUT_OF_RESOURCES, f"{what} ({errno.errorcode.get(error.errno or 0)})"
        ) from error


def stored_instance(row: Instance, study_instance_uid: str, path: Path) -> StoredInstance:
    """Return what a row says of an instance whose file is at *path*."""
    identity = InstanceIdentity(
        study_instance_uid,
        row.series_instance_uid,
        row.sop_instance_uid,
        row.sop_class_uid,
        row.transfer_syntax_uid,
    )
    return StoredInstance(identity, path, row.data_set_sha256)
