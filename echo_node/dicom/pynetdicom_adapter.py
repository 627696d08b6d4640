"""Private parts of pynetdicom that this node uses or replaces: nothing else touches them.

A test pins them, so that a new version of pynetdicom that changes them fails there, not in
operation.

- Sockets are closed even if the peer has gone. pynetdicom shuts a connection down and then closes
  its socket, but skips the second step if the first fails. The file descriptor then lives until
  garbage collection, and a node that retries a dead PACS would run out of them.
- An answer is never mistaken for a request. A thread that sends a request first halts the thread of
  its association. pynetdicom believes that thread halted while it still passes the barrier, and
  sometimes loses an answer (its issue 875). Here the barrier itself knows whether a thread waits.
- An acceptance with unknown items, or a long implementation version name, does not end the
  association.
- A rejection is recorded when it arrives. pynetdicom loses it if the connection closes before the
  requesting thread looks.
- An acceptor's association is negotiated and served by functions of ours in place of its two
  threads (see AssociationInternals).
"""

# ruff: noqa: SLF001 - the one place for them

from __future__ import annotations

import hashlib
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket, RequestHandler

from echo_node.dicom.association_items import plain_acceptance

_ESTABLISHED = "Sta6"
"""State of an association that is open for data (PS3.8 table 9-3)."""

_ASSOCIATE_AC = b"\x02"

_SHORTEST_PDU = 8
"""Shortest PDU that pynetdicom can send; shorter ones could contain nothing."""

PRIVATE_NAMES: dict[str, tuple[str, ...]] = {
    "association": ("_accepted_cx", "_kill", "_reactor_checkpoint", "_sent_abort"),
    "network": ("_recv_pdu", "event_queue", "state_machine", "to_provider_queue", "to_user_queue"),
}
"""Undocumented attributes of an association and of its network provider (`dul`)."""

REPLACED_OR_CALLED: tuple[tuple[type, str], ...] = (
    (Association, "_abort_blocking"),
    (Association, "_serve_request"),
    (DULServiceProvider, "_decode_pdu"),
    (DULServiceProvider, "_process_recv_primitive"),
    (AssociationSocket, "_shutdown_socket"),
    (RequestHandler, "_create_association"),
    (ApplicationEntity, "_create_socket"),
)
"""Private methods that are replaced or called here; a test pins their sources."""


def source_digest(owner: type, name: str) -> str:
    """Return the start of the SHA-256 of a method's source; empty without such a method."""
    method = getattr(owner, name, None)
    source = inspect.getsource(method) if callable(method) else ""
    return hashlib.sha256(source.encode()).hexdigest()[:16] if source else ""


class ClosingSocket(AssociationSocket):
    """A socket that closes its file descriptor at once."""

    def _shutdown_socket(self) -> None:
        connection = self.socket
        super()._shutdown_socket()
        if connection is not None:
            connection.close()


class _Barrier:
    """Replaces the Event that halts an association's thread; it knows whether that thread waits."""

    _LOOK_EVERY_S = 0.05

    def __init__(self, association: Association) -> None:
        self._association = association
        self._changed = threading.Condition()
        self._is_open = True
        self._holds_thread = False

    def wait(self) -> bool:
        """Wait while the barrier is closed."""
        with self._changed:
            while not self._is_open:
                self._holds_thread = True
                self._changed.notify_all()
                self._changed.wait()
            self._holds_thread = False
        return True

    def clear(self) -> None:
        """Close it; return when the thread waits or has ended, or the barrier is open again."""
        with self._changed:
            self._is_open = False
            if threading.current_thread() is self._association:
                return
            while not (self._holds_thread or self._is_open) and self._association.is_alive():
                self._changed.wait(self._LOOK_EVERY_S)

    def set(self) -> None:
        """Open the barrier."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


def _note_rejection(event: evt.Event) -> None:
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        event.assoc.acceptor.primitive = event.pdu.to_primitive()
        event.assoc.is_rejected = True


def _understandable(pdu: bytearray) -> bytearray:
    return bytearray(plain_acceptance(bytes(pdu))) if pdu[:1] == _ASSOCIATE_AC else pdu


class Requestor(ApplicationEntity):
    """An application entity whose associations use these sockets and lose no answer.

    They understand acceptances with items that pynetdicom does not.
    """

    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> AssociationSocket:
        assoc._reactor_checkpoint = _Barrier(assoc)  # type: ignore[assignment]
        assoc.bind(evt.EVT_PDU_RECV, _note_rejection)
        decode = assoc.dul._decode_pdu
        assoc.dul._decode_pdu = lambda bytestream: decode(_understandable(bytestream))  # type: ignore[method-assign]
        connection = ClosingSocket(assoc, address=address)
        connection.tls_args = tls_args
        return connection


class AssociationHandler(RequestHandler):
    """Starts an association for a connection; a subclass prepares it first."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        self.prepare(association)
        return association

    def prepare(self, association: Association) -> None:
        """Prepare an association that is not started yet."""
        raise NotImplementedError


class AssociationInternals:
    """Private parts of an acceptor's association and of its network provider (`dul`).

    Args:
        association: the association, not started.
    """

    def __init__(self, association: Association) -> None:
        self._association = cast("Any", association)
        self._network = cast("Any", association.dul)
        self._network.event_queue.queue.clear()  # a socket announces its connection

    def replace(self, *, run: Callable[[], None], abort: Callable[[bool], None]) -> None:
        """Replace the function of the association's thread, and the abort."""
        self._association.run = run
        self._association._abort_blocking = abort

    def establish(
        self,
        calling_ae_title: str,
        called_ae_title: str,
        maximum_length: int,
        accepted: Mapping[int, PresentationContext],
    ) -> None:
        """Make the association an established one, which was negotiated elsewhere.

        Args:
            calling_ae_title: AE title of the peer; may be blank.
            called_ae_title: AE title that it calls; may be blank.
            maximum_length: maximum length of a PDU that it accepts; 0 for any length.
            accepted: accepted presentation contexts by id.
        """
        requestor = self._association.requestor
        primitive = A_ASSOCIATE()
        primitive.called_ae_title = called_ae_title or self._association.acceptor.ae_title
        primitive.maximum_length_received = max(maximum_length, _SHORTEST_PDU) if maximum_length else 0
        if calling_ae_title:
            requestor.ae_title = calling_ae_title
        requestor.primitive = primitive
        self._association._accepted_cx = dict(accepted)
        self._network.state_machine.current_state = _ESTABLISHED
        self._association.is_established = True

    @property
    def is_killed(self) -> bool:
        """Whether the association was told to end."""
        return bool(self._association._kill)

    @property
    def is_abort_sent(self) -> bool:
        """Whether an abort was sent."""
        return bool(self._association._sent_abort)

    def mark_aborted(self) -> None:
        """Record that an abort is sent and the association must end."""
        self._association._sent_abort = self._association._kill = True

    def accepted_context(self, context_id: int) -> PresentationContext | None:
        """Return the accepted presentation context of an id; None if there is none."""
        context: PresentationContext | None = self._association._accepted_cx.get(context_id)
        return context

    def serve(self, request: Any, context_id: int) -> None:
        """Let pynetdicom serve a DIMSE request."""
        self._association._serve_request(request, context_id)

    def receive(self, pdu: bytes) -> str:
        """Decode a PDU for the state machine, and return the event that it means."""
        decoded, event = self._network._decode_pdu(bytearray(pdu))
        self._network._recv_pdu.put(decoded)
        return str(event)

    def take_primitive(self) -> bool:
        """Turn the next primitive that must be sent into an event; return whether there was one."""
        return bool(self._network._process_recv_primitive())
