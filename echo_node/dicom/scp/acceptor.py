"""An association that a peer opened, served by one thread that waits for its messages.

pynetdicom negotiates it, runs its state machine (PS3.8 9.2), and handles all messages except
C-STORE. Two parts of pynetdicom are replaced: its two threads for each association, which poll
every millisecond, and its handling of data sets, which copies each several times and holds it in
memory. Once the association is established, its network thread ends, and its other thread reads the
connection.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, cast

import structlog
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import P_DATA

from echo_node.dicom.header import PARSE_ERRORS
from echo_node.dicom.pynetdicom_adapter import AssociationInternals, ClosingSocket
from echo_node.dicom.scp.c_store import StoreContext, StoreOperation, StoreService
from echo_node.dicom.scp.command import C_STORE_RQ, Command, store_response
from echo_node.dicom.scp.messages import Message, Messages
from echo_node.dicom.scp.pdu_stream import COMMAND, LAST, P_DATA_TF, SLACK_BYTES, InvalidPdu, PduStream
from echo_node.domain.studies.intake import Piece

_log = structlog.get_logger()

_ESTABLISHED, _CLOSED = "Sta6", "Sta1"
_CONNECTION_CLOSED, _INVALID_PDU = "Evt17", "Evt19"
_UNLIMITED = 2**32 - 1
_LONGEST_WITHOUT_DATA = 64 * 1024
_LONGEST_OTHER_BYTES = 16 * 1024 * 1024
"""Longest data set of a message other than C-STORE. A request about 10,000 instances has 2 MB."""
_LOOK_EVERY_S = 0.05
_PARTING_S = 1.0
"""Time for the peer to close the connection after the last message, in seconds."""


class Acceptor:
    """Replaces the functions of an association's threads.

    Args:
        association: association of pynetdicom, not started.
        connection: its socket, whose time-out limits the peer's silence.
        service: C-STORE service.
    """

    def __init__(self, association: Association, connection: ClosingSocket, service: StoreService) -> None:
        self._association = cast("Any", association)
        self._network = cast("Any", association.dul)
        self._connection = connection
        self._service = service
        self._messages = Messages(self._begin)
        self._acting = threading.RLock()
        self._serves = False
        self._internals = AssociationInternals(association)
        self._internals.replace(
            run_network=self._run_network,
            is_transport_event=self._is_transport_event,
            run=self._serve,
            abort=self._abort,
        )

    def _run_network(self) -> None:
        """Run in the network thread, which negotiates.

        If it ends before the request was understood, the association ends at once. pynetdicom would
        wait for the request until its time-out, so that a few senders of malformed requests could
        lock out all others.
        """
        try:
            self._internals.negotiate()
        except InvalidEventError:
            _log.info("association_broken", reason="an event does not fit the state of the association")
            self._connection.close()
        finally:
            if self._association.requestor.primitive is None:
                self._network.to_user_queue.put(None)

    def _is_transport_event(self) -> bool:
        """End the network thread once the association is established; `_serve` reads then."""
        if self._network.state_machine.current_state == _ESTABLISHED:
            self._serves = True
            self._network.kill_dul()
            return False
        return self._internals.look_for_data()

    def _serve(self) -> None:
        """Run in the association's thread: serve the peer until either side ends it."""
        while self._network.is_alive() and self._network.state_machine.current_state != _CLOSED:
            self._network.join(_LOOK_EVERY_S)
        if not self._serves:
            self._internals.run()
            return
        association = self._association
        self._network.send_pdu = self._send
        with self._acting:
            self._settle()  # send what is pending, such as an abort
        longest = association.acceptor.maximum_length
        connection: Any = self._connection.socket
        stream = PduStream(connection, longest + SLACK_BYTES if longest else _UNLIMITED)
        try:
            while association.is_established and not self._internals.is_killed:
                self._take_pdu(stream)
        finally:
            try:
                self._messages.abandon()
            finally:
                self._part(stream)
                association.kill()

    def _take_pdu(self, stream: PduStream) -> None:
        try:
            kind, length = stream.next()
            if kind == P_DATA_TF:
                for context_id, control, piece in stream.fragments(length):
                    self._messages.take(context_id, control, piece)
                    if not self._association.is_established:
                        return
            else:
                self._take_without_data(kind, length, stream)
        except TimeoutError:
            _log.info("association_silent", peer=self._peer)
            self._association.abort()
        except OSError:
            self._act(_CONNECTION_CLOSED)
        except InvalidPdu as error:
            _log.info("association_broken", peer=self._peer, reason=str(error))
            self._act(_INVALID_PDU)

    def _take_without_data(self, kind: int, length: int, stream: PduStream) -> None:
        """Let pynetdicom act on a PDU other than P-DATA-TF: a release, an abort, or an error."""
        if length > _LONGEST_WITHOUT_DATA:
            raise InvalidPdu("a PDU without data is too long")
        pdu = bytes([kind, 0]) + length.to_bytes(4, "big") + stream.read(length)
        try:
            event = self._internals.receive(pdu)
        except (*PARSE_ERRORS, AssertionError) as error:
            raise InvalidPdu("a PDU cannot be understood") from error
        self._act(event)

    def _begin(self, context_id: int, command: Command, encoded: bytes) -> Message:
        context = self._internals.accepted_context(context_id)
        if context is None:
            raise InvalidPdu("a message came under a presentation context that was not accepted")
        if command.field != C_STORE_RQ:
            return _OtherMessage(lambda data_set: self._pass_on(context_id, encoded, data_set))
        if not command.has_message_id:
            raise InvalidPdu("a request without a Message ID cannot be answered")
        longest = self._association.requestor.maximum_length or 0
        under = StoreContext(str(context.abstract_syntax), str(context.transfer_syntax[0]), self._peer)
        return _StoreMessage(
            self._service.begin(command, under),
            lambda status, comment: self._respond(
                store_response(command, status, comment, context_id, longest)
            ),
            self._service.in_progress,
        )

    def _pass_on(self, context_id: int, command: bytes, data_set: bytes | None) -> None:
        """Let pynetdicom serve a message other than C-STORE."""
        message: Any = P_DATA()
        message.presentation_data_value_list = [[context_id, bytes([COMMAND | LAST]) + command]]
        if data_set is not None:
            message.presentation_data_value_list += [[context_id, bytes([LAST]) + data_set]]
        dimse = self._association.dimse
        try:
            with self._acting:
                dimse.receive_primitive(message)
                self._settle()
        except PARSE_ERRORS as error:
            raise InvalidPdu("a message cannot be understood") from error
        self._conclude()
        _, request = dimse.get_msg(block=False)
        if request is not None and self._association.is_established:
            self._internals.serve(request, context_id)

    def _act(self, event: str) -> None:
        """Let the state machine act on an event."""
        with self._acting:
            self._network.event_queue.put(event)
            self._settle()
        self._conclude()

    def _conclude(self) -> None:
        """Release the association if the peer requests it, and notice an abort."""
        association = self._association
        if association.acse.is_release_requested():
            association.acse.send_release(is_response=True)
            association.is_released = True
            association.is_established = False
            evt.trigger(association, evt.EVT_RELEASED, {})
        elif association.acse.is_aborted():
            self._network.receive_pdu(wait=False)
            association.is_aborted = True
            association.is_established = False
            evt.trigger(association, evt.EVT_ABORTED, {})

    def _send(self, primitive: Any) -> None:
        """Send a primitive at once, which pynetdicom would queue for its network thread."""
        with self._acting:
            self._network.to_provider_queue.put(primitive)
            self._settle()

    def _respond(self, pdus: bytes) -> None:
        with self._acting:
            if self._association.is_established:
                self._connection.send(pdus)
                self._settle()
        self._conclude()

    def _settle(self) -> None:
        """Let the state machine act until its queues are empty."""
        network = self._network
        try:
            while self._internals.take_primitive() or not network.event_queue.empty():
                network.state_machine.do_action(network.event_queue.get_nowait())
        except (InvalidEventError, queue.Empty, *PARSE_ERRORS):
            # The event does not fit the state, or cannot be processed: the association is over.
            network.to_provider_queue.queue.clear()
            self._association.is_established = False

    def _abort(self, block: bool = True) -> None:
        """Abort the association, from any thread."""
        association = self._association
        if not self._serves:
            self._internals.abort(block)
            return
        if self._internals.is_abort_sent or association.is_released:
            return
        self._internals.mark_aborted()
        is_heard = self._acting.acquire(timeout=_PARTING_S)  # else the peer does not read
        if is_heard:
            try:
                association.acse.send_abort(0x00)
            finally:
                self._acting.release()
        association.is_aborted, association.is_established = True, False
        evt.trigger(association, evt.EVT_ABORTED, {})
        connection = self._connection.socket
        if threading.current_thread() is association or connection is None:
            return
        with suppress(OSError):  # wakes the thread that waits for the peer
            connection.shutdown(socket.SHUT_RD if is_heard else socket.SHUT_RDWR)
        if block:
            association.join(_PARTING_S)

    def _part(self, stream: PduStream) -> None:
        """Give the peer a moment to read the last message, then close the connection."""
        connection = self._connection.socket
        if self._network.state_machine.current_state == _CLOSED or connection is None:
            return
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            stream.drain(_PARTING_S)
        self._act(_CONNECTION_CLOSED)

    @property
    def _peer(self) -> str:
        return str(self._association.requestor.ae_title).strip()


class _StoreMessage:
    """A C-STORE message, and its response."""

    def __init__(
        self,
        operation: StoreOperation,
        answer: Callable[[int, str], None],
        in_progress: AbstractContextManager[None],
    ) -> None:
        self._operation = operation
        self._answer = answer
        self._in_progress = in_progress

    def write(self, piece: Piece) -> None:
        self._operation.write(piece)

    def finish(self) -> None:
        with self._in_progress:
            self._answer(*self._operation.finish())

    def abandon(self) -> None:
        self._operation.abandon()


class _OtherMessage:
    """Any other message: collected as a whole, then forwarded."""

    def __init__(self, pass_on: Callable[[bytes | None], None]) -> None:
        self._pass_on = pass_on
        self._data_set: bytearray | None = None

    def write(self, piece: Piece) -> None:
        self._data_set = self._data_set or bytearray()
        self._data_set += piece
        if len(self._data_set) > _LONGEST_OTHER_BYTES:
            raise InvalidPdu("a message is too long")

    def finish(self) -> None:
        self._pass_on(None if self._data_set is None else bytes(self._data_set))

    def abandon(self) -> None:
        self._data_set = None
