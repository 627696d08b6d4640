"""Deliver → commit: storage commitment for a document is requested from its destination.

The request to the archive for a modality's images works in the same way (see answer_commitment.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from echo_node.domain.ports import CommitmentLedger, CommitmentRequester
from echo_node.domain.work.commitment import CommitmentJob

log = structlog.get_logger()


class CommitStage:
    """Sends one storage commitment request.

    Args:
        ledger: ledger of the requests and their results.
        requester: sender of the requests.
        ae_titles: AE titles of the peers, by name.
    """

    def __init__(
        self, ledger: CommitmentLedger, requester: CommitmentRequester, ae_titles: Mapping[str, str]
    ) -> None:
        self._ledger = ledger
        self._requester = requester
        self._ae_titles = ae_titles

    def __call__(self, job: CommitmentJob) -> None:
        """Send → record the request → record the result, if it arrived at once.

        Raises:
            PermanentError: the peer refuses the request permanently.
            TransientError: a retry may help.
            LeaseLost: another worker took over the request meanwhile.
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
