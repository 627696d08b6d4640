"""Withdraw → deliver: a requested withdrawal becomes notes, one for each group of destinations.

All notes are stored before the first is sent. They are delivered like drafts, with retries.
"""

from __future__ import annotations

import structlog

from echo_node.domain.ports import NoteEncoder, WithdrawalLedger
from echo_node.domain.work.withdrawal import WithdrawalJob, WithdrawnDrafts

log = structlog.get_logger()


class WithdrawStage:
    """Makes the notes of one withdrawal.

    Args:
        ledger: ledger of the withdrawals and their notes.
        for_objects: encoder of notes about DICOM objects.
        for_messages: encoder of notes about HL7 messages.
    """

    def __init__(self, ledger: WithdrawalLedger, for_objects: NoteEncoder, for_messages: NoteEncoder) -> None:
        self._ledger = ledger
        self._for_objects = for_objects
        self._for_messages = for_messages

    def __call__(self, job: WithdrawalJob) -> None:
        """Read → encode → store.

        Raises:
            PermanentError: a draft is lost or damaged.
            TransientError: a retry may help.
            LeaseLost: another worker took over the withdrawal meanwhile.
        """
        notes = [(each, self._encoder(each).encode(each)) for each in self._ledger.withdrawn_drafts(job)]
        self._ledger.store(job, notes)

    def _encoder(self, rejected: WithdrawnDrafts) -> NoteEncoder:
        return self._for_objects if rejected.documents[0].is_dicom else self._for_messages
