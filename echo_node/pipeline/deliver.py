"""Report → deliver: one stored document goes to one destination, and counts when its status says so.

A crash between the peer's answer and our row sends the very same object again, which the peer stores
as the one that it has already.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from echo_node.domain.ports import DeliveryLedger, DocumentSender
from echo_node.domain.work.job import DeliveryJob

log = structlog.get_logger()


class DeliverStage:
    """Makes one delivery.

    Args:
        ledger: what is to be sent.
        sender: sends it.
        make: makes it first, where it could not be made with the draft's other forms (pipeline/form.py).
    """

    def __init__(
        self,
        ledger: DeliveryLedger,
        sender: DocumentSender,
        make: Callable[[DeliveryJob], object] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._sender = sender
        self._make = make

    def __call__(self, job: DeliveryJob) -> None:
        """Make, if it is not made yet → read → send → record.

        Raises:
            PermanentError: the document is lost, or the peer will not take it.
            TransientError: trying again may help.
            LeaseLost: the delivery was taken away meanwhile.
        """
        self._make(job)
        document = self._ledger.document(job)
        outcome, status = self._sender.send(document, job.destination)
        self._ledger.finish(job, outcome, status)
        log.info(
            "delivered",
            delivery_id=job.lease.row_id,
            study_id=job.study_id,
            destination=job.destination,
            outcome=outcome.value,
            status=f"0x{status:04X}",
        )
