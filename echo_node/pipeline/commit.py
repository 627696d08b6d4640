"""Deliver → commit: a destination is asked whether it answers for a document that it was sent.

The archive is asked in the same way about images that a modality wants to be sure of (see answer.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from echo_node.domain.ports import CommitmentLedger, CommitmentRequester
from echo_node.domain.work.commitment import CommitmentJob

log = structlog.get_logger()


class CommitStage:
    """Asks one question.

    Args:
        ledger: where it and its answer are recorded.
        requester: asks.
        ae_titles: of those who are asked, by name.
    """

    def __init__(
        self, ledger: CommitmentLedger, requester: CommitmentRequester, ae_titles: Mapping[str, str]
    ) -> None:
        self._ledger = ledger
        self._requester = requester
        self._ae_titles = ae_titles

    def __call__(self, job: CommitmentJob) -> None:
        """Ask → record that it was asked → record the answer, if it came at once.

        Raises:
            PermanentError: the peer will not commit to anything.
            TransientError: it may, later.
            LeaseLost: the question was taken away meanwhile.
        """
        answer = self._requester.request(job)
        self._ledger.asked(job)
        log.info(
            "commitment_asked",
            job_id=job.lease.row_id,
            destination=job.destination,
            count=len(job.instances),
        )
        if answer is not None:
            self._ledger.report(answer, self._ae_titles[job.destination])
