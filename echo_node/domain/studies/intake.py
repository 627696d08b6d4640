"""Intake of instances: the ports between its steps. roles/receive.py connects them."""

from __future__ import annotations

import enum
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from echo_node.domain.studies.study import InstanceFile, ReceivedInstance


class StoreOutcome(enum.Enum):
    """Outcome of storing an instance."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


Piece = bytes | bytearray | memoryview
"""Some bytes of a stream, valid until the function that takes them returns."""


class InstanceArrival(Protocol):
    """An instance that is arriving (pipeline/receive.py)."""

    def write(self, piece: Piece) -> None:
        """Take the next bytes of the encoded data set.

        Raises:
            InstanceRejected: with the DIMSE status to answer.
        """
        ...

    def data_set(self) -> BinaryIO:
        """Return the part of the data set that has arrived, from its beginning."""
        ...

    def store(self, received: ReceivedInstance) -> StoreOutcome:
        """Make the instance durable. After that, the peer may receive status 0x0000.

        Returns:
            STORED; DUPLICATE if the instance is stored already, perhaps in another transfer syntax;
            CONFLICT if other content is stored under its SOP Instance UID. That content stays, and
            this one is set aside.

        Raises:
            InstanceRejected: with the DIMSE status to answer; nothing of it is left behind.
        """
        ...


class InstanceSink(Protocol):
    """Destination of the C-STORE provider's instances (pipeline/receive.py)."""

    def begin(self, file_meta: bytes) -> AbstractContextManager[InstanceArrival]:
        """Begin an instance. Without `store` by the end of the block, nothing of it is left.

        Args:
            file_meta: preamble, `DICM` and file meta information (PS3.10), which precede the data
                set.

        Raises:
            InstanceRejected: with the DIMSE status to answer.
        """
        ...


class UnfinishedFile(Protocol):
    """An instance's file that is being written (storage/objects/spool.py)."""

    def write(self, piece: Piece) -> None:
        """Append bytes.

        Raises:
            InstanceRejected: the disk is full or failing.
        """
        ...

    def read_from(self, position: int) -> BinaryIO:
        """Return the part of the file that is written, from a position on."""
        ...

    def keep(self, digest: str) -> InstanceFile:
        """Make the file durable under its own name.

        Raises:
            InstanceRejected: the disk is full or failing; no partial file is left.
            TransientError: the object store is unavailable.
        """
        ...


class InstanceFiles(Protocol):
    """The spool (storage/objects/spool.py)."""

    def begin(self) -> AbstractContextManager[UnfinishedFile]:
        """Begin a file. Without `keep` by the end of the block, it is removed.

        Raises:
            InstanceRejected: the disk is full or failing.
        """
        ...

    def discard(self, file: InstanceFile) -> None:
        """Remove a file that no row refers to. A missing file is not an error."""
        ...


class IntakeLedger(Protocol):
    """Rows of received instances (storage/ledgers/arrivals.py)."""

    def note_resend(self, received: ReceivedInstance, digest: str) -> bool:
        """Return whether the instance is stored already, and if so, postpone its study's due time.

        The due time changes only while the study is receiving.

        Raises:
            TransientError: the database cannot be reached.
        """
        ...

    def record(self, received: ReceivedInstance, file: InstanceFile) -> StoreOutcome:
        """Commit the instance's row, and update its study.

        If another sender stored the same instance meanwhile, no row names this file.

        Raises:
            TransientError: the database cannot take it now.
        """
        ...

    def refers_to(self, file: InstanceFile) -> bool:
        """Return whether a row names this file."""
        ...
