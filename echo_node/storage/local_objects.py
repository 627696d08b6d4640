"""Objects as files below a folder: of this machine, or one that several machines mount.

The order of writing is that of storage/durable.py: fsync → rename → fsync of the folder.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from echo_node.errors import PermanentError
from echo_node.storage.durable import clear_leftovers, make_folder_durably, write_durably
from echo_node.storage.objects import AREAS, SPOOL, TEMPORARY, area_of


class LocalObjects:
    """Files below *root* (storage.objects.ObjectStore).

    Args:
        root: the folder; names are paths in it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._spool = self._root / SPOOL
        self._temporary = {area: self._root / area / TEMPORARY for area in AREAS}
        for folder in self._temporary.values():
            make_folder_durably(folder)

    def put(self, name: str, chunks: Sequence[bytes]) -> None:
        """Write a file durably (see storage.objects.ObjectStore)."""
        write_durably(self._root / name, chunks, temporary_folder=self._temporary[area_of(name)])

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        area_of(name)
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise PermanentError(f"its file cannot be read ({type(error).__name__})") from error

    def contains(self, name: str) -> bool:
        """Say whether there is such a file."""
        area_of(name)
        return (self._root / name).is_file()

    @contextmanager
    def at_hand(self, names: Sequence[str]) -> Iterator[Sequence[Path]]:
        """Yield the files where they are."""
        for name in names:
            area_of(name)
        yield [self._root / name for name in names]

    def remove(self, name: str) -> None:
        """Remove a file."""
        area_of(name)
        with suppress(OSError):
            (self._root / name).unlink(missing_ok=True)

    def older_than(self, age_s: float) -> Iterator[str]:
        """Yield the names of the spool's files that are so old."""
        limit = time.time() - age_s
        for path in self._spool.glob("*/*.dcm"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    yield path.relative_to(self._root).as_posix()

    def clear_leftovers(self) -> int:
        """Remove what killed processes left half-written."""
        return sum(map(clear_leftovers, self._temporary.values()))

    def ping(self) -> None:
        """Do nothing: a folder that could be opened answers."""

    def location(self, name: str) -> str:
        """Return a file's path."""
        return str(self._root / name)

    @property
    def free_bytes(self) -> int:
        """The room in the folder's file system."""
        return shutil.disk_usage(self._spool).free

    @property
    def used_share(self) -> float:
        """How much of the folder's file system is in use."""
        usage = shutil.disk_usage(self._spool)
        return 1 - usage.free / usage.total
