"""A modality, made of pynetdicom, that requests storage commitment and listens for the result."""

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from echo_node.domain.work.commitment import ReferencedInstance
from echo_node.settings import Peer

PUSH_MODEL = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"


@dataclass(frozen=True)
class Answer:
    """An N-EVENT-REPORT as it came.

    Attributes:
        calling: who sent it.
        roles: negotiated SCU and SCP roles of the sender; None if nothing was negotiated.
        event_type: 1 all committed, 2 failures exist.
        information: the event information.
    """

    calling: str
    roles: tuple[bool, bool] | None
    event_type: int
    information: Dataset

    @property
    def committed(self) -> set[tuple[str, str]]:
        return set(map(_uids, self.information.get("ReferencedSOPSequence", ())))

    @property
    def failed(self) -> dict[tuple[str, str], int]:
        return {_uids(item): item.FailureReason for item in self.information.get("FailedSOPSequence", ())}


class Modality:
    """Asks, and keeps the answers that come.

    Args:
        ae_title: its own.
        negotiates_roles: whether it knows role selection when it is called.
    """

    def __init__(self, ae_title: str = "MODALITY", *, negotiates_roles: bool = True) -> None:
        self.ae_title = ae_title
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.status = 0x0000
        self._negotiates_roles = negotiates_roles
        self.peer = Peer(ae_title=ae_title)

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[Peer]:
        """Listen for answers; yield what the node must know of it."""
        entity = AE(self.ae_title)
        entity.require_called_aet = True
        scu_role, scp_role = (False, True) if self._negotiates_roles else (None, None)
        entity.add_supported_context(PUSH_MODEL, scu_role=scu_role, scp_role=scp_role)
        server = entity.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._on_report)]
        )
        assert server is not None
        self.peer = Peer(ae_title=self.ae_title, host="127.0.0.1", port=server.server_address[1])
        try:
            yield self.peer
        finally:
            entity.shutdown()

    def ask(
        self,
        port: int,
        transaction_uid: str,
        images: Sequence[ReferencedInstance],
        *,
        action_type: int = 1,
        instance: str = INSTANCE,
        sop_class: str = PUSH_MODEL,
        called: str = "ECHO_NODE",
    ) -> int:
        """Send an N-ACTION; return the status of the response."""
        question = Dataset()
        question.TransactionUID = transaction_uid
        question.ReferencedSOPSequence = [_item(each) for each in images]
        return self.send(
            port,
            question,
            action_type=action_type,
            instance=instance,
            sop_class=sop_class,
            called=called,
        )

    def send(
        self,
        port: int,
        question: Dataset | None,
        *,
        action_type: int = 1,
        instance: str = INSTANCE,
        sop_class: str = PUSH_MODEL,
        called: str = "ECHO_NODE",
    ) -> int:
        """Send an N-ACTION with this data set; return the status of the response."""
        entity = AE(self.ae_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
        entity.add_requested_context(PUSH_MODEL)
        association = entity.associate("127.0.0.1", port, ae_title=called)
        assert association.is_established, "the node does not take requests for storage commitment"
        try:
            response, _ = association.send_n_action(
                question, action_type, sop_class, instance, meta_uid=PUSH_MODEL
            )
            return int(response.Status)
        finally:
            association.release()

    def _on_report(self, event: Event) -> tuple[int, None]:
        association: Any = event.assoc
        negotiated = association.requestor.role_selection.get(PUSH_MODEL)
        roles = None if negotiated is None else (negotiated.scu_role, negotiated.scp_role)
        calling = str(association.requestor.ae_title).strip()
        self.answers.put(Answer(calling, roles, event.event_type or 0, event.event_information))
        return self.status, None


def _item(image: ReferencedInstance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.sop_class_uid, image.sop_instance_uid
    return item


def _uids(item: Dataset) -> tuple[str, str]:
    return str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)
