"""Durable files: whole and on the disk, or not there at all.

The order of the steps survives a power cut, not just a kill: a temporary file in the same file
system → fsync → rename → fsync of the folder. The writer locks its temporary file. Therefore
`clear_leftovers` can distinguish the file of a dead process from one that is being written.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EMLINK})


def write_durably(target: Path, chunks: Iterable[bytes], *, temporary_folder: Path) -> None:
    """Write *chunks* to *target*, and replace an existing file of that name.

    Args:
        target: final path of the file; its folder is created if necessary.
        chunks: content.
        temporary_folder: existing folder in the same file system.

    Raises:
        OSError: nothing was written and nothing is left behind.
    """
    with temporary_file(temporary_folder) as (file, temporary):
        file.writelines(chunks)
        name_durably(file, temporary, target)


def name_durably(file: BinaryIO, temporary: Path, target: Path) -> None:
    """Give a complete temporary file its final name, so that even a power cut does not undo it.

    Args:
        file: open file with its whole content written.
        temporary: current path of the file.
        target: final path; its folder is created if necessary, and an existing file is replaced.

    Raises:
        OSError: the file exists under neither name.
    """
    make_folder_durably(target.parent)
    file.flush()
    os.fsync(file.fileno())
    temporary.rename(target)
    try:
        fsync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        raise


def write_once_durably(target: Path, chunks: Iterable[bytes], *, temporary_folder: Path) -> bool:
    """Write *chunks* to *target*, unless the file exists. Return whether it was written.

    Of several writers the first wins, also on network file systems, because a hard link never
    replaces a file. On a file system without hard links the last one wins.

    Args:
        target: final path of the file, in an existing folder.
        chunks: content.
        temporary_folder: existing folder in the same file system.

    Raises:
        OSError: the file could not be written.
    """
    with temporary_file(temporary_folder) as (file, temporary):
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if target.exists():
                return False
            temporary.rename(target)
    fsync_folder(target.parent)
    return True


@contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Create a file in *folder* that `clear_leftovers` does not remove while this process lives.

    Yields:
        The file, open for writing and reading, and its path. If it still has this path when the
        block ends, it is removed.
    """
    while True:
        path = folder / f"{secrets.token_hex(8)}.part"
        file = path.open("x+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not path.exists():  # `clear_leftovers` of another process found it before the lock
                continue
            yield file, path
            return
        finally:
            # Closing writes the rest of the buffer; on a full disk it fails like the write before.
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                path.unlink(missing_ok=True)


def make_folder_durably(folder: Path) -> None:
    """Create *folder* and its parents, so that even a power cut does not undo it."""
    if folder.is_dir():
        return
    make_folder_durably(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync_folder(folder.parent)


def make_folders_durably(parent: Path, names: Iterable[str]) -> None:
    """Create the missing ones of several folders in *parent*, with one fsync for all."""
    missing = set(names).difference(path.name for path in parent.iterdir())
    for name in missing:
        (parent / name).mkdir(exist_ok=True)
    if missing:
        fsync_folder(parent)


def nearest_existing(path: Path) -> Path:
    """Return the path, or its nearest parent that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


def fsync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_leftovers(temporary_folder: Path) -> int:
    """Remove the temporary files that no living process writes. Return their number."""
    removed = 0
    for leftover in temporary_folder.glob("*.part"):
        # Opened for writing, because NFS locks no other file exclusively.
        with suppress(FileNotFoundError), leftover.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            leftover.unlink()
            removed += 1
    return removed
