"""Objects: what the spool and the outbox consist of, kept in a folder or in an object store.

An object is written once, whole, under a name that nothing else ever has, and never changes. Rows name it
only after `put` has returned: of what was half written, or of what nobody came to refer to, no reader knows.

    spool/ab/<digest>-<token>.dcm    received instances, by the beginning of their digest
    outbox/<uid>-<token>.dcm         encoded documents
    owner.json                       which database all this belongs to (storage/objects/ownership.py)
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
"""How the names of objects end."""
OWNER = "owner.json"
"""The one object outside the areas that says whose they are, and the only one that is ever replaced."""
TEMPORARY = "tmp"
"""The folder of an area for what is not whole yet."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What is being written down and is no object yet.

    Attributes:
        file: of this machine; what was written to it can be read again.
        keep: makes it the object of a name, durably and whole: when it returns, a power cut does not undo it.
            It raises as `ObjectStore.put` does.
    """

    file: BinaryIO
    keep: Callable[[str], None]


class ObjectStore(Protocol):
    """Where objects are (fulfilled by storage/objects/local.py and storage/objects/remote.py).

    Names are relative, with slashes, and begin with an area.
    """

    def put(self, name: str, chunks: Sequence[bytes]) -> None:
        """Write an object durably and whole: when this returns, a power cut does not undo it.

        Raises:
            OSError: this machine's disk is full or failing, or the store is full.
            TransientError: the store cannot be reached, or does not take it now.
            In either case nothing of it is left that a row could come to refer to.
        """
        with self.begin(area_of(name)) as unfinished:
            unfinished.file.writelines(chunks)
            unfinished.keep(name)

    @abstractmethod
    def begin(self, area: str) -> AbstractContextManager[Unfinished]:
        """Begin an object whose content comes bit by bit; what is not kept by the end of the block is gone.

        Raises:
            OSError: this machine's disk is full or failing.
        """
        ...

    def read(self, name: str) -> bytes:
        """Return an object's content.

        Raises:
            PermanentError: it is not there, or cannot be read.
            TransientError: the store does not give this one now.
            Unavailable: the store does not answer at all.
        """
        ...

    def contains(self, name: str) -> bool:
        """Say whether there is such an object.

        Raises:
            TransientError: the store cannot be reached.
        """
        ...

    def local_paths(self, names: Sequence[str]) -> AbstractContextManager[Sequence[Path]]:
        """Yield a local file of each object, in this order, to be read while the block lasts.

        Of an object that is not there the path leads to nothing.

        Raises:
            TransientError: the store does not give one of them now, or this machine has no room for them.
            Unavailable: the store does not answer at all.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove an object; one that is gone is no error. What fails is left for the sweep of orphans."""
        ...

    def older_than(self, age_s: float, not_before: float | None = None) -> Iterator[str]:
        """Yield the names of the objects that have been there for so long, those of the spool first.

        Args:
            age_s: how long.
            not_before: leave out what came before this moment of the store's clock.

        Raises:
            TransientError: the store cannot be reached.
        """
        ...

    def now(self) -> float:
        """Return what the store's clock says, in seconds since 1970: that by which objects grow old.

        Raises:
            TransientError: the store cannot be reached.
        """
        ...

    def is_empty(self) -> bool:
        """Say whether there is no object in any area.

        Raises:
            TransientError: the store cannot be reached.
        """
        ...

    def read_owner(self) -> bytes | None:
        """Return what the owner's object says; None if there is none.

        Raises:
            TransientError: the store cannot be reached.
        """
        ...

    def write_owner(self, content: bytes, *, replacing: bool) -> None:
        """Write the owner's object durably.

        Args:
            content: what it shall say.
            replacing: write it over one that is there; else that one stays, and who reads it afterwards
                learns which of several writers came first.

        Raises:
            TransientError: the store cannot be reached, or does not take it.
        """
        ...

    def holds(self, path: Path) -> bool:
        """Say whether a file of this machine lies in the store's folder, and goes wherever that goes."""
        ...

    def clear_leftovers(self) -> int:
        """Remove what killed processes left half-written on this machine; return how many files that were."""
        ...

    def ping(self) -> None:
        """Ask the store for something trivial.

        Raises:
            TransientError: it does not answer, or not to us.
        """
        ...

    def location(self, name: str) -> str:
        """Return where an object is, for an operator: a path or a URL."""
        ...

    @property
    def free_bytes(self) -> int:
        """How much room there is on the disk that objects are written to first."""
        ...

    @property
    def used_share(self) -> float:
        """How much of the store is in use, between 0 and 1; 0 of one that has no end."""
        ...


def area_of(name: str) -> str:
    """Return the area that an object belongs to.

    Raises:
        PermanentError: the name is none of an object: it would lead elsewhere.
    """
    area, *rest = name.split("/")
    if area not in AREAS or not rest or {"", ".", ".."} & set(rest):
        raise PermanentError("a row names a file outside spool and outbox: it is not one of this node's")
    return area
