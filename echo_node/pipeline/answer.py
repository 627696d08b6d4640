"""Commit → answer: a modality is told which of its images the archive answers for.

A crash between its acknowledgement and our row tells it the same once more.
"""

from __future__ import annotations

import structlog

from echo_node.domain.ports import AnswerLedger, ModalityAnswerer
from echo_node.domain.work.commitment import COMMITTED, AnswerJob

log = structlog.get_logger()


class AnswerStage:
    """Gives one answer."""

    def __init__(self, ledger: AnswerLedger, answerer: ModalityAnswerer) -> None:
        self._ledger = ledger
        self._answerer = answerer

    def __call__(self, job: AnswerJob) -> None:
        """Tell → record.

        Raises:
            PermanentError: the modality does not take the answer.
            TransientError: it may, later.
            LeaseLost: the answer was taken away meanwhile.
        """
        self._answerer.answer(job)
        self._ledger.answered(job)
        failed = sum(status != COMMITTED for status in job.statuses.values())
        log.info(
            "commitment_request_answered",
            commitment_request_id=job.lease.row_id,
            peer=job.ae_title,
            count=len(job.statuses),
            outcome=f"{failed} failed" if failed else "all committed",
        )
