"""Objects as files below a folder, of this machine or mounted by several.

The order of writing is that of `durable_files.py`: fsync → rename → fsync of the folder.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from echo_node.durable_files import (
    clear_leftovers,
    make_folder_durably,
    make_folders_durably,
    name_durably,
    temporary_file,
    write_durably,
    write_once_durably,
)
from echo_node.errors import PermanentError, TransientError
from echo_node.storage.objects.store import (
    AREAS,
    OUTBOX,
    OWNER,
    SPOOL,
    SUFFIXES,
    TEMPORARY,
    ObjectStore,
    Unfinished,
    area_of,
)

_OBJECTS = (f"{SPOOL}/*/*", f"{OUTBOX}/*")


class LocalObjects(ObjectStore):
    """Files below *root*. Implements ObjectStore.

    Args:
        root: folder of the store; names are paths below it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._spool = self._root / SPOOL
        self._temporary = {area: self._root / area / TEMPORARY for area in AREAS}
        for folder in self._temporary.values():
            make_folder_durably(folder)
        with suppress(OSError):  # on a full disk or a read-only copy: created when needed
            make_folders_durably(self._spool, (f"{first:02x}" for first in range(256)))

    @contextmanager
    def begin(self, area: str) -> Iterator[Unfinished]:
        """Begin a file that gets its name once it is complete."""
        with temporary_file(self._temporary[area]) as (file, path):

            def keep(name: str) -> None:
                area_of(name)
                name_durably(file, path, self._root / name)

            yield Unfinished(file, keep)

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        area_of(name)
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise PermanentError(f"its file cannot be read ({type(error).__name__})") from error

    def contains(self, name: str) -> bool:
        """Return whether the file exists."""
        area_of(name)
        return (self._root / name).is_file()

    @contextmanager
    def local_paths(self, names: Sequence[str]) -> Iterator[Sequence[Path]]:
        """Yield the paths of the files themselves."""
        for name in names:
            area_of(name)
        yield [self._root / name for name in names]

    def remove(self, name: str) -> None:
        """Remove a file."""
        area_of(name)
        with suppress(OSError):
            (self._root / name).unlink(missing_ok=True)

    def older_than(self, age_s: float, not_before: float | None = None) -> Iterator[str]:
        """Yield the names of the files of at least this age."""
        limit = self.now() - age_s
        for path in self._files():
            with suppress(FileNotFoundError):
                changed = path.stat().st_mtime
                if changed < limit and (not_before is None or changed > not_before):
                    yield path.relative_to(self._root).as_posix()

    def _files(self) -> Iterator[Path]:
        for pattern in _OBJECTS:
            yield from (path for path in self._root.glob(pattern) if path.suffix in SUFFIXES)

    def now(self) -> float:
        """Return the time of this machine's clock, in seconds since 1970."""
        return time.time()

    def is_empty(self) -> bool:
        """Return whether all areas are empty."""
        return next(self._files(), None) is None

    def read_owner(self) -> bytes | None:
        """Return the content of the owner's file; None if it does not exist."""
        try:
            return (self._root / OWNER).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TransientError(f"{self._root / OWNER} cannot be read ({type(error).__name__})") from error

    def write_owner(self, content: bytes, *, replacing: bool) -> None:
        """Write the owner's file durably."""
        write = write_durably if replacing else write_once_durably
        try:
            write(self._root / OWNER, (content,), temporary_folder=self._temporary[SPOOL])
        except OSError as error:
            raise TransientError(
                f"{self._root / OWNER} cannot be written ({type(error).__name__})"
            ) from error

    def holds(self, path: Path) -> bool:
        """Return whether a path leads into the folder."""
        return path.resolve().is_relative_to(self._root)

    def clear_leftovers(self) -> int:
        """Remove incomplete files of killed processes. Return their number."""
        return sum(map(clear_leftovers, self._temporary.values()))

    def ping(self) -> None:
        """Do nothing, because an open folder needs no answer."""

    def location(self, name: str) -> str:
        """Return the path of a file."""
        return str(self._root / name)

    @property
    def free_bytes(self) -> int:
        """Free space in the folder's file system, in bytes."""
        return shutil.disk_usage(self._spool).free

    @property
    def used_share(self) -> float:
        """Used share of the folder's file system, between 0 and 1."""
        usage = shutil.disk_usage(self._spool)
        return 1 - usage.free / usage.total
