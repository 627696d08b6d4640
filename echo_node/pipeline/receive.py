"""Receive → store: an offered instance becomes a durable file and a committed row, or nothing at all.

The peer is told 0x0000 only when `store` returns.
"""

from __future__ import annotations

import hashlib

import structlog

from echo_node.domain.ports import InstanceFiles, IntakeLedger, StoreOutcome
from echo_node.domain.study import InstanceFile, ReceivedInstance
from echo_node.errors import InstanceRejected, TransientError

log = structlog.get_logger()

PROCESSING_FAILURE = 0x0110
"""PS3.7 Annex C.5.6: the sender may try again."""

_ROUNDS = 4  # absent → stored → conflicting: what is known of an instance changes at most twice


class Intake:
    """Where the C-STORE provider puts instances (domain.ports.InstanceSink)."""

    def __init__(self, files: InstanceFiles, ledger: IntakeLedger) -> None:
        self._files = files
        self._ledger = ledger

    def store(self, received: ReceivedInstance) -> StoreOutcome:
        """Make the instance durable.

        Returns:
            STORED; DUPLICATE when it is there already, perhaps in another transfer syntax; CONFLICT when
            other content is there under its SOP Instance UID: that one stays, this one is set aside.

        Raises:
            InstanceRejected: disk or database cannot take it; nothing of it is left behind.
        """
        digest = hashlib.sha256(received.data_set).hexdigest()
        try:
            for _ in range(_ROUNDS):
                expected = self._ledger.classify(received.identity, digest)
                if expected is StoreOutcome.DUPLICATE:
                    self._ledger.note_resend(received)
                    return expected
                if self._store_as(expected, received, digest):
                    return expected
        except TransientError as error:
            raise InstanceRejected(PROCESSING_FAILURE, str(error)) from error
        raise InstanceRejected(PROCESSING_FAILURE, "too many senders of one instance at the same time")

    def _store_as(self, expected: StoreOutcome, received: ReceivedInstance, digest: str) -> bool:
        file = self._files.put(received, digest, aside=expected is StoreOutcome.CONFLICT)
        try:
            recorded = self._ledger.record(received, file, expected)
        except BaseException:
            self._discard_unless_recorded(file)
            raise
        if not recorded:
            self._files.discard(file)
        return recorded

    def _discard_unless_recorded(self, file: InstanceFile) -> None:
        """Clean up after a commit that failed, unless it was only its answer that was lost."""
        try:
            if not self._ledger.refers_to(file):
                self._files.discard(file)
        except TransientError:
            log.warning("file_left_for_the_sweep", kind="spool")
