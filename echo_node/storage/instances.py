"""The spool: each received instance in a durable file of its own.

A file is named by its data set's digest and a token that makes it this call's own: no other call ever
writes or removes it, so two senders of the same instance cannot harm each other. Nothing that a peer
sent becomes part of a path.
"""

from __future__ import annotations

import errno
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

from echo_node.domain.study import InstanceFile, InstanceIdentity, ReceivedInstance, StoredInstance
from echo_node.errors import InstanceRejected
from echo_node.storage.durable import clear_leftovers, make_folder_durably, write_durably
from echo_node.storage.tables import Instance

log = structlog.get_logger()

OUT_OF_RESOURCES = 0xA700
"""PS3.4 Table B.2-1: refused, out of resources; the sender may try again."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_CONFLICTS = "conflicts"


class Spool:
    """The instances' files below `data_dir/spool`.

    Args:
        data_dir: the data folder; paths in the database are relative to it.
        minimum_free_bytes: below this much free disk nothing is written.
    """

    def __init__(self, data_dir: Path, minimum_free_bytes: int) -> None:
        self._data_dir = data_dir.resolve()
        self._folder = self._data_dir / "spool"
        self._temporary = self._folder / "tmp"
        self._minimum_free_bytes = minimum_free_bytes
        make_folder_durably(self._temporary)

    def put(self, received: ReceivedInstance, digest: str, *, aside: bool) -> InstanceFile:
        """Write the instance durably (see domain.ports.InstanceFiles)."""
        size = len(received.file_meta) + len(received.data_set)
        folder = self._folder / (_CONFLICTS if aside else digest[:2])
        target = folder / f"{digest}-{secrets.token_hex(4)}.dcm"
        try:
            self._refuse_if_low(size)
            write_durably(target, (received.file_meta, received.data_set), temporary_folder=self._temporary)
        except OSError as error:
            what = "the disk is full" if error.errno in _NO_ROOM else "the spool cannot be written"
            raise InstanceRejected(
                OUT_OF_RESOURCES, f"{what} ({errno.errorcode.get(error.errno or 0)})"
            ) from error
        return InstanceFile(target.relative_to(self._data_dir), digest, size)

    def discard(self, file: InstanceFile) -> None:
        """Remove a file that no row refers to."""
        self.remove(str(file.path))

    @property
    def used_share(self) -> float:
        """How much of the file system is in use, between 0 and 1."""
        usage = shutil.disk_usage(self._folder)
        return 1 - usage.free / usage.total

    def remove(self, path: str) -> None:
        """Remove a file whose row says that it is removed; what fails is an orphan for the sweep."""
        with suppress(OSError):
            (self._data_dir / path).unlink(missing_ok=True)

    def clear_leftovers(self) -> int:
        """Remove what killed processes left half-written; return how many files that were."""
        removed = clear_leftovers(self._temporary)
        if removed:
            log.info("leftovers_removed", kind="spool", count=removed)
        return removed

    def older_than(self, age_s: float) -> Iterator[Path]:
        """Yield the files, relative to the data folder, whose storing must be over by now."""
        limit = time.time() - age_s
        for path in self._folder.glob("*/*.dcm"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    yield path.relative_to(self._data_dir)

    def remove_orphan(self, path: str) -> None:
        """Remove a whole file that no row refers to: its sender was never told that it is stored."""
        self.remove(path)
        log.info("orphan_removed", kind="spool")

    def _refuse_if_low(self, size: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if free - size < self._minimum_free_bytes:
            raise InstanceRejected(
                OUT_OF_RESOURCES, f"only {free} bytes of disk are free: intake.minimum_free_bytes stops here"
            )


def stored_instance(row: Instance, study_instance_uid: str, data_dir: Path) -> StoredInstance:
    """Return what a row says of an instance, its file found below *data_dir*."""
    identity = InstanceIdentity(
        study_instance_uid,
        row.series_instance_uid,
        row.sop_instance_uid,
        row.sop_class_uid,
        row.transfer_syntax_uid,
    )
    return StoredInstance(identity, data_dir / row.path, row.data_set_sha256)
