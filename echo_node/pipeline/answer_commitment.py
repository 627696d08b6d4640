"""Commit → answer: a modality receives the archive's commitment for its images.

After a crash between its acknowledgement and our row, it receives the same answer again.
"""

from __future__ import annotations

import structlog

from echo_node.domain.ports import AnswerLedger, ModalityAnswerer
from echo_node.domain.work.commitment import COMMITTED, AnswerJob

log = structlog.get_logger()


class AnswerStage:
    """Sends one answer."""

    def __init__(self, ledger: AnswerLedger, answerer: ModalityAnswerer) -> None:
        self._ledger = ledger
        self._answerer = answerer

    def __call__(self, job: AnswerJob) -> None:
        """Send → record.

        Raises:
            PermanentError: the modality refuses the answer permanently.
            TransientError: a retry may help.
            LeaseLost: another worker took over the answer meanwhile.
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
