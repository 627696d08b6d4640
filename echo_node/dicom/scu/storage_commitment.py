"""Storage commitment over associations of the node: its requests and its answers (PS3.4 J).

Our request to a destination is an N-ACTION. The destination answers by an N-EVENT-REPORT on the
same association, or later on one that it opens to our AE title, which all destinations support. Our
answer to a modality is such a report.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt

from echo_node.dicom.contexts import contexts
from echo_node.dicom.scu.associate import associated, name_of
from echo_node.dicom.statuses import Status, Verdict, classify, describe
from echo_node.domain.identifiers import is_valid_uid
from echo_node.domain.work.commitment import (
    COMMITTED,
    AnswerJob,
    CommitmentJob,
    CommitmentReport,
    FailureReason,
    ReferencedInstance,
)
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import Peer

PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The well-known SOP instance of the Storage Commitment Push Model."""

REQUEST = 1
"""The only action type of the class (PS3.4 J.3.2)."""

_ALL_COMMITTED, _FAILURES_EXIST = 1, 2  # event types (PS3.4 J.3.3)
_SAME_ASSOCIATION_S = 1.0


class CommitmentUser:
    """Implements the CommitmentRequester port.

    Args:
        calling_ae_title: our AE title, to which the answer is sent.
        peers: peers by configured name.
        timeout_s: time limit for a connection, an association and a message, in seconds.
    """

    def __init__(self, calling_ae_title: str, peers: Mapping[str, Peer], timeout_s: float) -> None:
        self._calling_ae_title = calling_ae_title
        self._peers = peers
        self._timeout_s = timeout_s

    def request(self, job: CommitmentJob) -> CommitmentReport | None:
        """Send the request; return the answer if it arrives at once on the same association.

        Raises:
            TransientError: no association, abort, time-out, or a status that may pass.
            PermanentError: the peer does not offer storage commitment, or refused the request.
        """
        peer = self._peers.get(job.destination)
        if peer is None:
            raise PermanentError(f"no peer is named '{job.destination}'; add it to peers.toml, then retry")
        push_model = contexts().commitment.uid
        proposed = [contexts().commitment_proposal(is_provider=False)]
        answer = _Answer()
        with associated(
            peer,
            self._calling_ae_title,
            proposed,
            self._timeout_s,
            [(evt.EVT_N_EVENT_REPORT, answer.take)],
        ) as association:
            response, _ = association.send_n_action(_question(job), REQUEST, push_model, PUSH_MODEL_INSTANCE)
            _check_response(response, peer, "N-ACTION")
            return answer.within(_SAME_ASSOCIATION_S)


class Answerer:
    """Implements the ModalityAnswerer port.

    Args:
        peers: peers by configured name.
        timeout_s: time limit for a connection, an association and a message, in seconds.
    """

    def __init__(self, peers: Mapping[str, Peer], timeout_s: float) -> None:
        self._peers = peers
        self._timeout_s = timeout_s

    def answer(self, job: AnswerJob) -> None:
        """Open an association to the modality and send the report.

        Raises:
            TransientError: no association, abort, time-out, or a status that may pass.
            PermanentError: the modality is no longer configured, or refused the report.
        """
        peer = answerable(self._peers, job.ae_title)
        if peer is None:
            raise PermanentError(
                f"no peer with host and port has the AE title {job.ae_title}; "
                "add it to peers.toml, then retry"
            )
        push_model = contexts().commitment.uid
        proposed = [contexts().commitment_proposal(is_provider=True)]
        report = report_for(job)
        event_type = _FAILURES_EXIST if "FailedSOPSequence" in report else _ALL_COMMITTED
        with associated(peer, job.own_ae_title, proposed, self._timeout_s) as association:
            response, _ = association.send_n_event_report(report, event_type, push_model, PUSH_MODEL_INSTANCE)
            _check_response(response, peer, "N-EVENT-REPORT")


def report_of(event: evt.Event) -> CommitmentReport:
    """Return the report of an N-EVENT-REPORT.

    Raises:
        ValueError: it is not a report of storage commitment, or is unreadable.
    """
    information = event.event_information
    transaction_uid = str(information.get("TransactionUID", ""))
    if not is_valid_uid(transaction_uid):
        raise ValueError("the report has no Transaction UID")
    failed = {
        str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason") or Status.PROCESSING_FAILURE)
        for item in information.get("FailedSOPSequence") or ()
    }
    committed = frozenset(
        ReferencedInstance(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
        for item in information.get("ReferencedSOPSequence") or ()
    )
    return CommitmentReport(transaction_uid, committed, failed)


def report_for(job: AnswerJob) -> Dataset:
    """Return the event information of an answer (PS3.4 J.3.3.1)."""
    report = Dataset()
    report.TransactionUID = UID(job.transaction_uid)
    committed = [each for each, status in job.statuses.items() if status == COMMITTED]
    if committed:
        if job.archive_ae_title:
            report.RetrieveAETitle = job.archive_ae_title
        report.ReferencedSOPSequence = [_item_of(each) for each in committed]
    failed = [_failed(each, status) for each, status in job.statuses.items() if status != COMMITTED]
    if failed:
        report.FailedSOPSequence = failed
    return report


def _failed(instance: ReferencedInstance, status: int) -> Dataset:
    item = _item_of(instance)
    # Failures of our own Transaction UID, and private codes of the archive, are not forwarded.
    is_known = status in set(FailureReason) - {FailureReason.DUPLICATE_TRANSACTION_UID}
    item.FailureReason = status if is_known else int(FailureReason.PROCESSING_FAILURE)
    return item


def answerable(peers: Mapping[str, Peer], ae_title: str) -> Peer | None:
    """Return the peer of an AE title, if the node can open an association to it."""
    known = (peer for peer in peers.values() if peer.ae_title == ae_title)
    return next((peer for peer in known if peer.host and peer.port), None)


def _check_response(response: Dataset, peer: Peer, message: str) -> None:
    """Check that a peer accepted our *message* of storage commitment.

    Raises:
        TransientError: it did not answer, or answered with a temporary status.
        PermanentError: it refused the message.
    """
    if "Status" not in response:
        raise TransientError(f"{name_of(peer)} did not answer {message}, or ended the association")
    status = int(response.Status)
    verdict = classify(status)
    if verdict is Verdict.TRY_AGAIN:
        raise TransientError(f"{name_of(peer)} cannot take {message} now: {describe(status)}")
    if verdict is Verdict.REFUSED:
        raise PermanentError(f"{name_of(peer)} refused {message} of storage commitment: {describe(status)}")


def _item_of(instance: ReferencedInstance) -> Dataset:
    """Return a sequence item that refers to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID = UID(instance.sop_class_uid)
    item.ReferencedSOPInstanceUID = UID(instance.sop_instance_uid)
    return item


def _question(job: CommitmentJob) -> Dataset:
    question = Dataset()
    question.TransactionUID = UID(job.transaction_uid)
    question.ReferencedSOPSequence = [_item_of(each) for each in job.instances]
    return question


class _Answer:
    """Receives the report that a peer may send on the association of our request."""

    def __init__(self) -> None:
        self._report: CommitmentReport | None = None
        self._came = threading.Event()

    def take(self, event: evt.Event) -> tuple[int, None]:
        """Handle EVT_N_EVENT_REPORT."""
        try:
            self._report = report_of(event)
        except (ValueError, AttributeError):
            return Status.PROCESSING_FAILURE, None
        self._came.set()
        return Status.SUCCESS, None

    def within(self, seconds: float) -> CommitmentReport | None:
        """Return the report if it arrives in this time; None otherwise."""
        self._came.wait(seconds)
        return self._report
