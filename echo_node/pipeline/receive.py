"""Receive → store: an offered instance becomes a durable file and a committed row, or nothing.

Its data set is written and digested in pieces, as they arrive, so that it is never in memory as a
whole. The peer receives 0x0000 only after `Arrival.store` has returned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import structlog

from echo_node.domain.studies.intake import InstanceFiles, IntakeLedger, Piece, StoreOutcome, UnfinishedFile
from echo_node.domain.studies.study import InstanceFile, ReceivedInstance
from echo_node.errors import InstanceRejected, TransientError

log = structlog.get_logger()

PROCESSING_FAILURE = 0x0110
"""PS3.7 Annex C.5.6: the sender may send again."""


class Intake:
    """Intake of instances from the C-STORE provider. Implements the InstanceSink port."""

    def __init__(self, files: InstanceFiles, ledger: IntakeLedger) -> None:
        self._files = files
        self._ledger = ledger

    @contextmanager
    def begin(self, file_meta: bytes) -> Iterator[Arrival]:
        """Begin to receive an instance, after its file meta information."""
        with self._files.begin() as file:
            file.write(file_meta)
            yield Arrival(file, len(file_meta), self._files, self._ledger)


class Arrival:
    """An arriving instance. Implements the InstanceArrival port.

    Args:
        file: file of the instance, which contains the file meta information already.
        start: position of the data set in the file.
        files: store of the file, which discards it if no row names it.
        ledger: ledger of received instances.
    """

    def __init__(self, file: UnfinishedFile, start: int, files: InstanceFiles, ledger: IntakeLedger) -> None:
        self._file = file
        self._start = start
        self._files = files
        self._ledger = ledger
        self._digest = hashlib.sha256()

    def write(self, piece: Piece) -> None:
        """Append the next bytes of the data set."""
        self._digest.update(piece)
        self._file.write(piece)

    def data_set(self) -> BinaryIO:
        """Return the received part of the data set, for reading from its beginning."""
        return self._file.read_from(self._start)

    def store(self, received: ReceivedInstance) -> StoreOutcome:
        """Make the instance durable. Return the outcome for the sender."""
        digest = self._digest.hexdigest()
        try:
            if self._ledger.note_resend(received, digest):
                return StoreOutcome.DUPLICATE
            file = self._file.keep(digest)
            outcome = self._record(received, file)
        except TransientError as error:
            raise InstanceRejected(PROCESSING_FAILURE, str(error)) from error
        if outcome is StoreOutcome.DUPLICATE:
            self._files.discard(file)
        return outcome

    def _record(self, received: ReceivedInstance, file: InstanceFile) -> StoreOutcome:
        try:
            return self._ledger.record(received, file)
        except BaseException:
            self._discard_unless_recorded(file)
            raise

    def _discard_unless_recorded(self, file: InstanceFile) -> None:
        """Discard the file after a failed commit, unless only the database's answer was lost."""
        try:
            if not self._ledger.refers_to(file):
                self._files.discard(file)
        except TransientError:
            log.warning("discard_postponed", kind="spool")
