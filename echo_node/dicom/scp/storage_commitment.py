"""Storage commitment as provider (PS3.4 Annex J): modalities ask whether to delete their images.

The request is an N-ACTION, and is only recorded here. The answer is an N-EVENT-REPORT on an
association that the node opens to the modality, which all modalities support. Therefore a modality
that sends requests must be a peer with host and port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt

from echo_node.dicom.contexts import contexts
from echo_node.dicom.scp.uid_policy import UidPolicy
from echo_node.dicom.scu.storage_commitment import PUSH_MODEL_INSTANCE, REQUEST, answerable
from echo_node.dicom.statuses import Status
from echo_node.domain.identifiers import is_usable_uid, is_valid_uid
from echo_node.domain.ports import CommitmentRequestIntake
from echo_node.domain.work.commitment import CommitmentRequest, ReferencedInstance
from echo_node.errors import InstanceRejected
from echo_node.settings import Peer

MOST_INSTANCES = 10_000
"""Maximum number of instances in a request."""


class CommitmentProvider:
    """Records requests.

    Args:
        peers: peers that may send requests, by configured name.
        uids: policy about UIDs that break the Standard.
        intake: destination of requests.
    """

    def __init__(self, peers: Mapping[str, Peer], uids: UidPolicy, intake: CommitmentRequestIntake) -> None:
        self._peers = peers
        self._uids = uids
        self._intake = intake

    def take(self, event: evt.Event) -> None:
        """Make the request of an N-ACTION durable.

        Raises:
            InstanceRejected: the request is refused, with this status.
            TransientError: it cannot be recorded now.
        """
        request = request_of(event, self._uids)
        if answerable(self._peers, request.calling_ae_title) is None:
            raise InstanceRejected(
                Status.NOT_AUTHORISED,
                "this AE title asks for storage commitment and could not be answered: "
                "give it a host and a port in peers.toml",
            )
        if not self._intake.accept(request):
            raise InstanceRejected(
                Status.DUPLICATE_TRANSACTION_UID,
                "its Transaction UID is that of an earlier request for storage commitment, for other images",
            )


def request_of(event: evt.Event, uids: UidPolicy) -> CommitmentRequest:
    """Return the request of an N-ACTION.

    UIDs that break the Standard are those of images that the node has taken.

    Raises:
        InstanceRejected: it is not a request for storage commitment, or is unusable (PS3.7 10.1.4).
    """
    request: Any = event.request
    if request.RequestedSOPClassUID != contexts().commitment.uid:
        raise InstanceRejected(Status.NO_SUCH_SOP_CLASS, "the N-ACTION is of another SOP class")
    if request.RequestedSOPInstanceUID != PUSH_MODEL_INSTANCE:
        raise InstanceRejected(Status.NO_SUCH_SOP_INSTANCE, "the N-ACTION is not of the well-known instance")
    if event.action_type != REQUEST:
        raise InstanceRejected(Status.NO_SUCH_ACTION, "the action type is not 1, a request for commitment")
    if request.ActionInformation is None:
        raise InstanceRejected(Status.INVALID_ARGUMENT_VALUE, "the N-ACTION carries no request")
    information = event.action_information
    transaction_uid = str(information.get("TransactionUID", ""))
    items = information.get("ReferencedSOPSequence") or ()
    association: Any = event.assoc
    calling = str(association.requestor.ae_title).strip()
    is_uid = is_valid_uid if uids.is_strict(calling) else is_usable_uid
    if not is_uid(transaction_uid):
        raise InstanceRejected(Status.INVALID_ARGUMENT_VALUE, "the request has no valid Transaction UID")
    if not items:
        raise InstanceRejected(Status.INVALID_ARGUMENT_VALUE, "the Referenced SOP Sequence is empty")
    if len(items) > MOST_INSTANCES:
        raise InstanceRejected(
            Status.RESOURCE_LIMITATION, f"more than {MOST_INSTANCES} instances in one request for commitment"
        )
    instances = frozenset(_referenced(item, is_uid) for item in items)
    return CommitmentRequest(
        calling,
        str(association.requestor.primitive.called_ae_title).strip(),
        transaction_uid,
        instances,
    )


def _referenced(item: Dataset, is_uid: Callable[[str], bool]) -> ReferencedInstance:
    class_uid = str(item.get("ReferencedSOPClassUID", ""))
    instance_uid = str(item.get("ReferencedSOPInstanceUID", ""))
    if not (is_valid_uid(class_uid) and is_uid(instance_uid)):
        raise InstanceRejected(
            Status.INVALID_ARGUMENT_VALUE, "an item lacks a valid SOP Class or Instance UID"
        )
    return ReferencedInstance(class_uid, instance_uid)
