"""Objects of the spool and the outbox, in a folder or in an object store.

An object is written once, whole, under a name that nothing else ever has, and never changes. Rows
name it only after `put` has returned. Therefore no reader ever sees an incomplete object.

    spool/ab/<digest>-<token>.dcm    received instances, by the beginning of their digest
    outbox/<uid>-<token>.dcm         encoded documents
    owner.json                       database that owns the store (storage/objects/ownership.py)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from echo_node.errors import PermanentError

SPOOL, OUTBOX = "spool", "outbox"
AREAS = (SPOOL, OUTBOX)
SUFFIXES = (".dcm", ".hl7", ".json")
"""Suffixes of objects."""
OWNER = "owner.json"
"""Object outside the areas that names their owner; the only one that is ever replaced."""
TEMPORARY = "tmp"
"""Folder of an area for incomplete files."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A file that is being written, before it becomes an object.

    Attributes:
        file: file of this machine, open for writing and reading.
        keep: stores the file as the object of the given name, durably and whole, so that even a
            power cut does not undo it. It raises what `ObjectStore.put` raises.
    """

    file: BinaryIO
    keep: Callable[[str], None]


class ObjectStore(Protocol):
    """Store of objects.

    Names are relative, with slashes, and begin with an area.
    """

    def put(self, name: str, chunks: Sequence[bytes]) -> None:
        """Write an object durably and whole, so that even a power cut does not undo it.

        Raises:
            OSError: this machine's disk is full or failing, or the store is full.
            TransientError: the store is unreachable, or does not accept the object now.
            In either case nothing is left that a row could name.
        """
        with self.begin(area_of(name)) as unfinished:
            unfinished.file.writelines(chunks)
            unfinished.keep(name)

    @abstractmethod
    def begin(self, area: str) -> AbstractContextManager[Unfinished]:
        """Begin an object whose content arrives in pieces.

        A file that is not kept is removed at the end of the block.

        Raises:
            OSError: this machine's disk is full or failing.
        """
        ...

    def read(self, name: str) -> bytes:
        """Return an object's content.

        Raises:
            PermanentError: the object does not exist, or cannot be read.
            TransientError: the store does not return this object now.
            Unavailable: the store does not answer at all.
        """
        ...

    def contains(self, name: str) -> bool:
        """Return whether the object exists.

        Raises:
            TransientError: the store is unreachable.
        """
        ...

    def local_paths(self, names: Sequence[str]) -> AbstractContextManager[Sequence[Path]]:
        """Yield a local file of each object, in this order, for reading within the block.

        The path of a missing object leads to no file.

        Raises:
            TransientError: the store does not return one of them now, or the disk is full.
            Unavailable: the store does not answer at all.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove an object, if it exists. After a failure, the sweep of orphans removes it."""
        ...

    def older_than(self, age_s: float, not_before: float | None = None) -> Iterator[str]:
        """Yield the names of the objects of at least this age, those of the spool first.

        Args:
            age_s: minimum age, in seconds.
            not_before: moment of the store's clock; older objects are left out.

        Raises:
            TransientError: the store is unreachable.
        """
        ...

    def now(self) -> float:
        """Return the time of the store's clock, the clock of all ages, in seconds since 1970.

        Raises:
            TransientError: the store is unreachable.
        """
        ...

    def is_empty(self) -> bool:
        """Return whether all areas are empty.

        Raises:
            TransientError: the store is unreachable.
        """
        ...

    def read_owner(self) -> bytes | None:
        """Return the content of the owner's object; None if it does not exist.

        Raises:
            TransientError: the store is unreachable.
        """
        ...

    def write_owner(self, content: bytes, *, replacing: bool) -> None:
        """Write the owner's object durably.

        Args:
            content: new content.
            replacing: whether to replace an existing one. Otherwise the existing one stays, and
                each of several writers reads afterwards which one was first.

        Raises:
            TransientError: the store is unreachable, or does not accept the object.
        """
        ...

    def holds(self, path: Path) -> bool:
        """Return whether a file of this machine is in the store's folder, and moves with it."""
        ...

    def clear_leftovers(self) -> int:
        """Remove incomplete files of killed processes on this machine. Return their number."""
        ...

    def ping(self) -> None:
        """Send the store a trivial request.

        Raises:
            TransientError: the store does not answer, or refuses us.
        """
        ...

    def location(self, name: str) -> str:
        """Return the path or URL of an object, for an operator."""
        ...

    @property
    def free_bytes(self) -> int:
        """Free space on the disk that objects are written to first, in bytes."""
        ...

    @property
    def used_share(self) -> float:
        """Used share of the store, between 0 and 1; 0 for a store without a limit."""
        ...


def area_of(name: str) -> str:
    """Return the area of an object.

    Raises:
        PermanentError: the name is not the name of an object, and would lead elsewhere.
    """
    area, *rest = name.split("/")
    if area not in AREAS or not rest or {"", ".", ".."} & set(rest):
        raise PermanentError("a row names a file outside spool and outbox: it is not one of this node's")
    return area
