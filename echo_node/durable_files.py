"""Durable files: whole and on the disk, or not there at all.

The order is the whole point (it survives a power cut, not just a kill): a temporary file in the same
file system → fsync → rename → fsync of the folder. The writer holds a lock on its temporary file, so
that whoever clears leftovers can tell one of a dead process from one that is being written.
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
    """Write *chunks* to *target*, an existing file of that name being replaced.

    Args:
        target: the file's final name; its folder is made if need be.
        chunks: the content.
        temporary_folder: an existing folder in the same file system.

    Raises:
        OSError: nothing was written and nothing is left behind.
    """
    with temporary_file(temporary_folder) as (file, temporary):
        file.writelines(chunks)
        name_durably(file, temporary, target)


def name_durably(file: BinaryIO, temporary: Path, target: Path) -> None:
    """Give a temporary file that is whole its final name; when this returns, a power cut does not undo it.

    Args:
        file: open, everything written to it.
        temporary: where it is.
        target: the final name; its folder is made if need be, an existing file of that name replaced.

    Raises:
        OSError: there is no such file, under neither name.
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
    """Write *chunks* to *target* unless there is such a file; say whether it was written.

    Of several writers one wins, on network file systems too: a hard link is made only where there is none.
    Where hard links are unknown the last one wins.

    Args:
        target: the file's final name, in an existing folder.
        chunks: the content.
        temporary_folder: an existing folder in the same file system.

    Raises:
        OSError: it could not be written.
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
    """Make a file in *folder* that `clear_leftovers` leaves alone while this process lives.

    Yields:
        The file, to be written and read, and its path. What is there when the block ends is removed: what
        shall stay is renamed before.
    """
    path = folder / f"{secrets.token_hex(8)}.part"
    file = path.open("x+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file, path
    finally:
        # Closing writes what is still in the buffer: on a full disk it fails as the write before it did.
        with suppress(OSError):
            file.close()
        with suppress(OSError):
            path.unlink(missing_ok=True)


def make_folder_durably(folder: Path) -> None:
    """Make *folder* and its parents; when this returns, a power cut does not undo it."""
    if folder.is_dir():
        return
    make_folder_durably(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync_folder(folder.parent)


def make_folders_durably(parent: Path, names: Iterable[str]) -> None:
    """Make those of so many folders in *parent* that are not there, at the price of one."""
    missing = set(names).difference(path.name for path in parent.iterdir())
    for name in missing:
        (parent / name).mkdir(exist_ok=True)
    if missing:
        fsync_folder(parent)


def nearest_existing(path: Path) -> Path:
    """Return the path, or the first of its parents that there is."""
    return next(each for each in (path, *path.parents) if each.exists())


def fsync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_leftovers(temporary_folder: Path) -> int:
    """Remove the temporary files that no living process writes; return how many there were."""
    removed = 0
    for leftover in temporary_folder.glob("*.part"):
        # Open to be written: NFS locks no other file exclusively.
        with suppress(FileNotFoundError), leftover.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            leftover.unlink()
            removed += 1
    return removed
