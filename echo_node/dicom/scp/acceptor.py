"""An association that a peer opened: negotiated and served by one thread, which waits for the peer.

The request and its answer are read and written here (association_request.py, admission.py,
association_answer.py), because pynetdicom aborts what it does not know. Once the association is
established, pynetdicom's state machine (PS3.8 9.2) runs it, and pynetdicom handles all messages
except C-STORE. Its two threads for each association, which poll every millisecond, are not used.
Neither is its handling of data sets, which copies each several times and holds it in memory.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import PresentationContext

from echo_node.dicom.header_values import PARSE_ERRORS
from echo_node.dicom.pynetdicom_adapter import AssociationInternals, ClosingSocket
from echo_node.dicom.scp.admission import Admission, plain_address
from echo_node.dicom.scp.association_answer import (
    INVALID_PARAMETER,
    abort_by_provider,
    abort_reason,
    acceptance,
    negotiate,
    rejection,
)
from echo_node.dicom.scp.association_log import AssociationLog, Parties
from echo_node.dicom.scp.association_request import AssociationRequest, read_association_request
from echo_node.dicom.scp.c_store import StoreContext, StoreOperation, StoreService
from echo_node.dicom.scp.command import C_STORE_RQ, Command, store_response
from echo_node.dicom.scp.messages import Message, Messages
from echo_node.dicom.scp.pdu_stream import COMMAND, LAST, P_DATA_TF, SLACK_BYTES, InvalidPdu, PduStream
from echo_node.domain.studies.intake import Piece

_CLOSED = "Sta1"
_CONNECTION_CLOSED, _INVALID_PDU = "Evt17", "Evt19"
_RELEASE_RQ, _ABORT = 0x05, 0x07
_UNLIMITED = 2**32 - 1
_LONGEST_WITHOUT_DATA = 64 * 1024
_LONGEST_OTHER_BYTES = 16 * 1024 * 1024
"""Longest data set of a message other than C-STORE. A request about 10,000 instances has 2 MB."""
_PARTING_S = 1.0
"""Time for the peer to close the connection after the last message, in seconds."""


@dataclass(frozen=True, slots=True)
class AcceptorServices:
    """Parts of the node that all its associations share.

    Attributes:
        admission: policy about associations.
        supported: presentation contexts that the node accepts.
        maximum_length: maximum length of a PDU that it accepts; 0 for any length.
        store: C-STORE service.
        log: log of associations.
    """

    admission: Admission
    supported: Sequence[PresentationContext]
    maximum_length: int
    store: StoreService
    log: AssociationLog


class Acceptor:
    """Replaces the functions of an association's threads.

    Args:
        association: association of pynetdicom, not started.
        connection: its socket, whose time-out limits the peer's silence.
        request: the whole A-ASSOCIATE-RQ.
        services: parts of the node.
    """

    def __init__(
        self,
        association: Association,
        connection: ClosingSocket,
        request: bytes,
        services: AcceptorServices,
    ) -> None:
        self._association = cast("Any", association)
        self._network = cast("Any", association.dul)
        self._connection = connection
        self._request = request
        self._services = services
        self._messages = Messages(self._begin)
        self._acting = threading.RLock()
        self._who = Parties(plain_address(association.requestor.address))
        self._under: PresentationContext | None = None
        self._internals = AssociationInternals(association)
        self._internals.replace(run=self._run, abort=self._abort)

    def _run(self) -> None:
        """Run in the association's thread: negotiate, then serve the peer."""
        try:
            self._negotiate()
        except Exception:  # noqa: BLE001 - the text of an error, which may contain values, goes nowhere
            self._services.log.failed(self._who)
        finally:
            self._association.kill()
            if self._connection.socket is not None:
                self._connection.close()

    def _negotiate(self) -> None:
        admission, log = self._services.admission, self._services.log
        try:
            request = read_association_request(self._request)
        except InvalidPdu as error:
            log.broken(self._who, f"aborted by the node: {error}")
            self._say_farewell(abort_by_provider(INVALID_PARAMETER))
            return
        self._who = Parties(self._who.address, request.calling_ae_title, request.called_ae_title)
        refusal = admission.refusal(request, self._who.address) or admission.enter()
        if refusal is not None:
            log.rejected(self._who, refusal.reason)
            self._say_farewell(rejection(refusal.result, refusal.source, refusal.diagnostic))
            return
        try:
            self._accept(request)
        finally:
            admission.leave()

    def _accept(self, request: AssociationRequest) -> None:
        services = self._services
        negotiated = negotiate(request, services.supported)
        services.log.contexts_refused(self._who, negotiated.refused)
        self._internals.establish(
            request.calling_ae_title, request.called_ae_title, request.maximum_length, negotiated.accepted
        )
        self._network.send_pdu = self._send
        connection: Any = self._connection.socket
        try:
            connection.sendall(acceptance(request, negotiated, services.maximum_length))
        except OSError:
            services.log.lost(self._who, None)
            return
        longest = services.maximum_length
        self._serve(PduStream(connection, longest + SLACK_BYTES if longest else _UNLIMITED))

    def _say_farewell(self, pdu: bytes) -> None:
        """Send the last PDU to a peer that the node does not accept, and close the connection."""
        connection: Any = self._connection.socket
        with suppress(OSError):
            connection.sendall(pdu)
            connection.shutdown(socket.SHUT_WR)
            PduStream(connection, _UNLIMITED).drain(_PARTING_S)

    def _serve(self, stream: PduStream) -> None:
        """Serve the peer until either side ends the association."""
        try:
            while self._association.is_established and not self._internals.is_killed:
                self._take_pdu(stream)
        finally:
            try:
                self._messages.abandon()
            finally:
                self._part(stream)

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
            self._services.log.silent(self._who, self._under)
            self._association.abort()
        except OSError:
            if not self._internals.is_killed:
                self._services.log.lost(self._who, self._under)
            self._act(_CONNECTION_CLOSED)
        except InvalidPdu as error:
            self._services.log.broken(self._who, f"aborted by the node: {error}", self._under)
            self._act(_INVALID_PDU)

    def _take_without_data(self, kind: int, length: int, stream: PduStream) -> None:
        """Let pynetdicom act on a PDU other than P-DATA-TF: a release or an abort."""
        if kind not in {_RELEASE_RQ, _ABORT}:
            raise InvalidPdu(f"a PDU of type {kind} came, which has no place in an association")
        if length > _LONGEST_WITHOUT_DATA:
            raise InvalidPdu("a PDU without data is too long")
        pdu = bytes([kind, 0]) + length.to_bytes(4, "big") + stream.read(length)
        try:
            event = self._internals.receive(pdu)
        except (*PARSE_ERRORS, AssertionError) as error:
            raise InvalidPdu("a PDU cannot be understood") from error
        if kind == _ABORT:
            self._services.log.aborted(self._who, abort_reason(pdu), self._under)
        self._act(event)

    def _begin(self, context_id: int, command: Command, encoded: bytes) -> Message:
        context = self._internals.accepted_context(context_id)
        if context is None:
            raise InvalidPdu("a message came under a presentation context that was not accepted")
        self._under = context
        if command.field != C_STORE_RQ:
            return _OtherMessage(lambda data_set: self._pass_on(context_id, encoded, data_set))
        if not command.has_message_id:
            raise InvalidPdu("a request without a Message ID cannot be answered")
        longest = self._association.requestor.maximum_length or 0
        under = StoreContext(
            str(context.abstract_syntax),
            str(context.transfer_syntax[0]),
            self._who.calling,
            self._who.address,
        )
        store = self._services.store
        return _StoreMessage(
            store.begin(command, under),
            lambda status, comment: self._respond(
                store_response(command, status, comment, context_id, longest)
            ),
            store.in_progress,
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
            if self._internals.is_abort_sent:
                self._services.log.aborted(
                    self._who, "aborted by the node: it has no service for the message", self._under
                )

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
        """Abort the association, from any thread; from another one because the node stops."""
        association = self._association
        if self._internals.is_abort_sent or association.is_released:
            return
        self._internals.mark_aborted()
        if association.is_established and threading.current_thread() is not association:
            self._services.log.aborted(self._who, "aborted by the node: it is stopping", self._under)
        is_heard = self._acting.acquire(timeout=_PARTING_S)  # else the peer does not read
        if is_heard:
            try:
                if association.is_established:
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
