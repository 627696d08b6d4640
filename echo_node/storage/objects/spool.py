"""Spool: each received instance is a separate durable object, in a folder or in an object store.

Its name consists of the digest of its data set and a token of this call. No other call ever writes
or removes it, so two senders of the same instance cannot harm each other. Nothing that a peer sent
becomes part of a path.
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
from echo_node.storage.database.tables import Instance, SetAsideInstance
from echo_node.storage.objects.store import SPOOL, ObjectStore, Unfinished

log = structlog.get_logger()

OUT_OF_RESOURCES = 0xA700
"""PS3.4 Table B.2-1: refused, out of resources; the sender may send again."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Spool:
    """Objects of the received instances.

    Args:
        objects: store of the instances.
        minimum_free_bytes: free disk space below which nothing is written, in bytes.
    """

    def __init__(self, objects: ObjectStore, minimum_free_bytes: int) -> None:
        self._objects = objects
        self._minimum_free_bytes = minimum_free_bytes

    @contextmanager
    def begin(self) -> Iterator[SpoolFile]:
        """Begin the file of an instance. Raises InstanceRejected if too little disk is free."""
        self._refuse_if_low(0)
        with ExitStack() as stack:
            with _refusing():
                unfinished = stack.enter_context(self._objects.begin(SPOOL))
            yield SpoolFile(unfinished, self._refuse_if_low)

    def discard(self, file: InstanceFile) -> None:
        """Remove a file that no row names."""
        self.remove(str(file.path))

    @property
    def used_share(self) -> float:
        """Used share of the store of instances, between 0 and 1."""
        return self._objects.used_share

    def remove(self, path: str) -> None:
        """Remove a file that its row marks as removed; after a failure the sweep does."""
        self._objects.remove(path)

    def remove_orphan(self, path: str) -> None:
        """Remove a complete file that no row names; its sender never received a success."""
        self.remove(path)
        log.info("orphan_removed", kind="spool")

    def _refuse_if_low(self, size: int) -> None:
        free = self._objects.free_bytes
        if free - size < self._minimum_free_bytes:
            raise InstanceRejected(
                OUT_OF_RESOURCES, f"only {free} bytes of disk are free: intake.minimum_free_bytes stops here"
            )


class SpoolFile:
    """File of an instance that is being written. Implements UnfinishedFile.

    Args:
        unfinished: file that becomes the object.
        refuse_if_low: raises InstanceRejected if the disk has no room for this number of bytes.
    """

    def __init__(self, unfinished: Unfinished, refuse_if_low: Callable[[int], None]) -> None:
        self._unfinished = unfinished
        self._refuse_if_low = refuse_if_low
        self._size = 0

    def write(self, piece: Piece) -> None:
        """Append a piece. Raises InstanceRejected if it cannot be written."""
        self._refuse_if_low(len(piece))
        with _refusing():
            self._unfinished.file.write(piece)
        self._size += len(piece)

    def read_from(self, position: int) -> BinaryIO:
        """Return the file for reading from *position*; nothing is written to it afterwards."""
        with _refusing():
            self._unfinished.file.seek(position)
        return self._unfinished.file

    def keep(self, digest: str) -> InstanceFile:
        """Make the file durable under a new name."""
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
    """Return the instance of a row whose file is at *path*."""
    identity = InstanceIdentity(
        study_instance_uid,
        row.series_instance_uid,
        row.sop_instance_uid,
        row.sop_class_uid,
        row.transfer_syntax_uid,
    )
    return StoredInstance(identity, path, row.data_set_sha256, row.calling_ae_title)


def set_aside_instance(row: SetAsideInstance, kept: Instance, path: Path) -> StoredInstance:
    """Return the object of a row that contends with a kept instance, whose file is at *path*."""
    identity = InstanceIdentity(
        row.study_instance_uid,
        row.series_instance_uid or kept.series_instance_uid,
        kept.sop_instance_uid,
        row.sop_class_uid or kept.sop_class_uid,
        row.transfer_syntax_uid or kept.transfer_syntax_uid,
    )
    return StoredInstance(identity, path, row.data_set_sha256, row.calling_ae_title)
