"""The way of an instance into the node: what its steps ask of each other. roles/receive.py connects them."""

from __future__ import annotations

import enum
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from echo_node.domain.studies.study import InstanceFile, ReceivedInstance


class StoreOutcome(enum.Enum):
    """What became of an instance that was offered for storing."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


Piece = bytes | bytearray | memoryview
"""Some bytes of a stream; they are the reader's until it returns."""


class InstanceArrival(Protocol):
    """An instance that is on its way in (fulfilled by pipeline/receive.py)."""

    def write(self, piece: Piece) -> None:
        """Take the next bytes of the encoded data set.

        Raises:
            InstanceRejected: with the DIMSE status to answer.
        """
        ...

    def data_set(self) -> BinaryIO:
        """Return what has come of the data set, to be read from its beginning."""
        ...

    def store(self, received: ReceivedInstance) -> StoreOutcome:
        """Make the instance durable; when this returns, the peer may be told 0x0000.

        Returns:
            STORED; DUPLICATE when it is there already, perhaps in another transfer syntax; CONFLICT when
            other content is there under its SOP Instance UID: that one stays, this one is set aside.

        Raises:
            InstanceRejected: with the DIMSE status to answer; nothing of it is left behind.
        """
        ...


class InstanceSink(Protocol):
    """Where the C-STORE provider puts instances (fulfilled by pipeline/receive.py)."""

    def begin(self, file_meta: bytes) -> AbstractContextManager[InstanceArrival]:
        """Begin to take an instance; what is not stored by the end of the block leaves nothing behind.

        Args:
            file_meta: preamble, `DICM` and file meta information (PS3.10), which goes before the data set.

        Raises:
            InstanceRejected: with the DIMSE status to answer.
        """
        ...


class UnfinishedFile(Protocol):
    """An instance's file that is being written (fulfilled by storage/objects/spool.py)."""

    def write(self, piece: Piece) -> None:
        """Append.

        Raises:
            InstanceRejected: the disk is full or failing.
        """
        ...

    def read_from(self, position: int) -> BinaryIO:
        """Return the file as far as it is written, to be read from a position on."""
        ...

    def keep(self, digest: str) -> InstanceFile:
        """Make the file durable under a name of its own.

        Raises:
            InstanceRejected: the disk is full or failing; no partial file is left.
            TransientError: the files are kept elsewhere, and that cannot be reached.
        """
        ...


class InstanceFiles(Protocol):
    """The spool (fulfilled by storage/objects/spool.py)."""

    def begin(self) -> AbstractContextManager[UnfinishedFile]:
        """Begin a file; what is not kept by the end of the block is removed.

        Raises:
            InstanceRejected: the disk is full or failing.
        """
        ...

    def discard(self, file: InstanceFile) -> None:
        """Remove a file that no row refers to; one that is gone already is no error."""
        ...


class IntakeLedger(Protocol):
    """What is known of received instances (fulfilled by storage/ledgers/studies.py)."""

    def note_resend(self, received: ReceivedInstance, digest: str) -> bool:
        """Say whether the instance is there already; if so its study, if still receiving, is given more time.

        Raises:
            TransientError: the database cannot be reached.
        """
        ...

    def record(self, received: ReceivedInstance, file: InstanceFile) -> StoreOutcome:
        """Commit what the instance is to the node, and move its study.

        No row names the file of a duplicate, which another sender has brought meanwhile.

        Raises:
            TransientError: the database cannot take it now.
        """
        ...

    def refers_to(self, file: InstanceFile) -> bool:
        """Say whether a row names this file."""
        ...
