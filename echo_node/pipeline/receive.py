"""Receive → store: an offered instance becomes a durable file and a committed row, or nothing at all.

Its data set is written down and its digest computed while it still comes in, piece by piece: however large
it is, it is never in memory as a whole. The peer is told 0x0000 only when `Arrival.store` returns.
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
"""PS3.7 Annex C.5.6: the sender may try again."""


class Intake:
    """Where the C-STORE provider puts instances (domain.intake.InstanceSink)."""

    def __init__(self, files: InstanceFiles, ledger: IntakeLedger) -> None:
        self._files = files
        self._ledger = ledger

    @contextmanager
    def begin(self, file_meta: bytes) -> Iterator[Arrival]:
        """Begin to take an instance (see domain.intake.InstanceSink)."""
        with self._files.begin() as file:
            file.write(file_meta)
            yield Arrival(file, len(file_meta), self._files, self._ledger)


class Arrival:
    """An instance on its way in (domain.intake.InstanceArrival).

    Args:
        file: what it is written to, the file meta information already there.
        start: where its data set begins in the file.
        files: where the file is discarded if no row is to name it.
        ledger: what is known of received instances.
    """

    def __init__(self, file: UnfinishedFile, start: int, files: InstanceFiles, ledger: IntakeLedger) -> None:
        self._file = file
        self._start = start
        self._files = files
        self._ledger = ledger
        self._digest = hashlib.sha256()

    def write(self, piece: Piece) -> None:
        """Take the next bytes of the data set (see domain.intake.InstanceArrival)."""
        self._digest.update(piece)
        self._file.write(piece)

    def data_set(self) -> BinaryIO:
        """Return what has come of the data set, to be read from its beginning."""
        return self._file.read_from(self._start)

    def store(self, received: ReceivedInstance) -> StoreOutcome:
        """Make the instance durable (see domain.intake.InstanceArrival)."""
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
        """Clean up after a commit that failed, unless it was only its answer that was lost."""
        try:
            if not self._ledger.refers_to(file):
                self._files.discard(file)
        except TransientError:
            log.warning("discard_postponed", kind="spool")
