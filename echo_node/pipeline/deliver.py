"""Report → deliver: a stored document is sent to a destination; the status is the outcome.

After a crash between the peer's answer and our row, the same object is sent again. The peer
recognises it as the one that it already has.
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
        ledger: ledger of the deliveries and their documents.
        sender: sender of the documents.
        make: callable that first makes a form that could not be made with the others
            (pipeline/make_form.py).
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
            PermanentError: the document is lost, or the peer refuses it permanently.
            TransientError: a retry may help.
            LeaseLost: another worker took over the delivery meanwhile.
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
