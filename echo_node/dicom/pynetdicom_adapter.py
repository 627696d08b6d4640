"""Private parts of pynetdicom that this node uses or replaces: nothing else touches them.

A test pins them, so that a new version of pynetdicom that changes them fails there, not in
operation.

- Sockets are closed even if the peer has gone. pynetdicom shuts a connection down and then closes
  its socket, but skips the second step if the first fails. The file descriptor then lives until
  garbage collection, and a node that retries a dead PACS would run out of them.
- An answer is never mistaken for a request. A thread that sends a request first halts the thread of
  its association. pynetdicom believes that thread halted while it still passes the barrier, and
  sometimes loses an answer (its issue 875). Here the barrier itself knows whether a thread waits.
- A rejection is recorded when it arrives. pynetdicom loses it if the connection closes before the
  requesting thread looks.
- An acceptor's association runs functions of ours in place of its two threads (see
AssociationInternals).
"""

# ruff: noqa: SLF001 - the one place for them

from __future__ import annotations

import hashlib
import inspect
import threading
from collections.abc import Callable
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket, RequestHandler

PRIVATE_NAMES: dict[str, tuple[str, ...]] = {
    "association": ("_accepted_cx", "_kill", "_reactor_checkpoint", "_sent_abort"),
    "network": ("_recv_pdu", "event_queue", "state_machine", "to_provider_queue", "to_user_queue"),
}
"""Undocumented attributes of an association and of its network provider (`dul`)."""

REPLACED_OR_CALLED: tuple[tuple[type, str], ...] = (
    (Association, "_run_reactor"),
    (Association, "_abort_blocking"),
    (Association, "_serve_request"),
    (DULServiceProvider, "run"),
    (DULServiceProvider, "_is_transport_event"),
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


class Requestor(ApplicationEntity):
    """An application entity whose associations use these sockets and lose no answer."""

    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> AssociationSocket:
        assoc._reactor_checkpoint = _Barrier(assoc)  # type: ignore[assignment]
        assoc.bind(evt.EVT_PDU_RECV, _note_rejection)
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
        self._negotiate = self._network.run
        self._look_for_data = self._network._is_transport_event
        self._run = self._association._run_reactor
        self._abort = self._association._abort_blocking

    def replace(
        self,
        *,
        run_network: Callable[[], None],
        is_transport_event: Callable[[], bool],
        run: Callable[[], None],
        abort: Callable[[bool], None],
    ) -> None:
        """Replace the functions of both threads, and the abort."""
        self._network.run = run_network
        self._network._is_transport_event = is_transport_event
        self._association._run_reactor = run
        self._association._abort_blocking = abort

    def negotiate(self) -> None:
        """Run the network thread as pynetdicom does, which negotiates the association."""
        self._negotiate()

    def look_for_data(self) -> bool:
        """Return whether the network thread found something to do, as pynetdicom does."""
        return bool(self._look_for_data())

    def run(self) -> None:
        """Run the association's thread as pynetdicom does."""
        self._run()

    def abort(self, block: bool) -> None:
        """Abort as pynetdicom does."""
        self._abort(block)

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
