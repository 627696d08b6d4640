"""The listening socket: a connection becomes an association only once it asks for one.

pynetdicom starts two polling threads for every TCP connection and counts it against the limit of
associations. Forty silent connections would lock out all senders. Here, connections wait in one
selector, without a thread, until a whole A-ASSOCIATE-RQ has arrived (PS3.8 9.3.2). Load balancers
that connect and close, port scanners and half-open senders cost only a file descriptor until they
time out.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Any, cast

import structlog
from pynetdicom.association import Association
from pynetdicom.transport import AssociationServer

from echo_node.dicom.pynetdicom_adapter import AssociationHandler, ClosingSocket
from echo_node.dicom.scp.acceptor import Acceptor, AcceptorServices
from echo_node.dicom.scp.admission import plain_address
from echo_node.dicom.scp.log_limit import LogLimit
from echo_node.dicom.scp.pdu_stream import HEADER_BYTES

_log = structlog.get_logger()

_ASSOCIATE_RQ = 0x01
_LONGEST_ASSOCIATE_RQ_BYTES = 256 * 1024
_TLS_HANDSHAKE = 0x16
_HTTP_METHODS = (b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI")
_TICK_S = 0.5


@dataclass(slots=True)
class _Waiting:
    """A connection whose A-ASSOCIATE-RQ has not arrived as a whole.

    Attributes:
        address: its address, as the socket states it.
        deadline: time at which it is closed.
        request: the part that has arrived.
    """

    address: Any
    deadline: float
    request: bytearray

    @property
    def missing(self) -> int:
        """Number of bytes to read next: the rest of the header, or of the request."""
        if len(self.request) < HEADER_BYTES:
            return HEADER_BYTES - len(self.request)
        length = int.from_bytes(self.request[2:HEADER_BYTES], "big")
        return HEADER_BYTES + length - len(self.request)


class _AcceptingHandler(AssociationHandler):
    """Starts an association that our own thread negotiates and serves."""

    def prepare(self, association: Association) -> None:
        """Give the association its socket, and an acceptor that serves it."""
        listener = cast("AssociationListener", self.server)
        connection = ClosingSocket(association, client_socket=self.request)
        association.dul.socket = connection
        Acceptor(association, connection, listener.request, listener.services)


class AssociationListener(AssociationServer):
    """pynetdicom's server with a queue of waiting connections before it.

    Args:
        patience_s: time limit for a connection to request an association, in seconds.
        silence_s: time limit of a read or write on an association's socket, in seconds.
        maximum_waiting: maximum number of waiting connections; another one displaces the oldest.
        shares_port: whether other processes listen on the same port, and the kernel distributes
            connections among them.
        services: parts of the node that its associations share.
        limit: limit of log lines, which is asked regularly for those that are due.
    """

    request_queue_size = 128

    def __init__(
        self,
        *args: Any,
        patience_s: float,
        silence_s: float,
        maximum_waiting: int,
        shares_port: bool = False,
        services: AcceptorServices,
        limit: LogLimit,
        **keywords: Any,
    ) -> None:
        self.services = services
        self.request = b""
        self._limit = limit
        self._shares_port = shares_port
        keywords["request_handler"] = _AcceptingHandler
        super().__init__(*args, **keywords)
        self._patience_s = patience_s
        self._silence_s = silence_s
        self._maximum_waiting = maximum_waiting
        self._waiting: dict[socket.socket, _Waiting] = {}
        self._selector = selectors.DefaultSelector()
        self._listening = cast("socket.socket", self.socket)
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._stopping = threading.Event()

    def server_bind(self) -> None:
        """Bind the socket."""
        if self._shares_port:
            cast("socket.socket", self.socket).setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self.server_address[1])

    def serve(self) -> None:
        """Accept and forward connections until `close` is called."""
        self._listening.setblocking(False)
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        while not self._stopping.is_set():
            for key, _ in self._selector.select(_TICK_S):
                if key.fileobj is self._listening:
                    self._accept()
                elif key.fileobj is not self._wake_receiver:
                    self._look_at(cast("socket.socket", key.fileobj))
            self._dismiss_overdue()
            self._limit.flush_due()
            self.service_actions()
        for connection in [*self._waiting]:
            self._dismiss(connection)
        self._selector.close()
        self.server_close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def close(self) -> None:
        """Make `serve` return; open associations continue."""
        self._wake_sender.send(b"\0")
        self._stopping.set()  # second: once it is set, `serve` may close the socket that wakes it

    def _accept(self) -> None:
        try:
            connection, address = self._listening.accept()
        except OSError as error:
            # The peer is gone, or there are no file descriptors left: the listener must continue.
            _log.warning("connection_not_accepted", error=type(error).__name__)
            time.sleep(0.01)
            return
        if len(self._waiting) >= self._maximum_waiting:
            oldest = next(iter(self._waiting))
            self.services.log.displaced(_shown(self._waiting[oldest].address))
            self._dismiss(oldest)
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._waiting[connection] = _Waiting(address, time.monotonic() + self._patience_s, bytearray())
        self._selector.register(connection, selectors.EVENT_READ)

    def _look_at(self, connection: socket.socket) -> None:
        """Read from a connection, and forward it when its A-ASSOCIATE-RQ has arrived as a whole."""
        waiting = self._waiting[connection]
        try:
            read = connection.recv(waiting.missing)
        except BlockingIOError:
            return
        except OSError:
            read = b""
        waiting.request += read
        if not read:
            self._dismiss(connection)
        elif len(waiting.request) == HEADER_BYTES and (fault := _fault_of(bytes(waiting.request))):
            self.services.log.not_dicom(_shown(waiting.address), fault)
            self._dismiss(connection)
        elif len(waiting.request) >= HEADER_BYTES and not waiting.missing:
            self._pass_on(connection)

    def _pass_on(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        waiting = self._waiting.pop(connection)
        self.request = bytes(waiting.request)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self._silence_s)
        try:
            self.finish_request(connection, waiting.address)
        except RuntimeError as error:  # no more threads
            _log.error("association_not_started", address=_shown(waiting.address), error=type(error).__name__)
            self.shutdown_request(connection)

    def _dismiss_overdue(self) -> None:
        now = time.monotonic()
        # They are in the order of arrival, and so of deadlines.
        while self._waiting:
            connection, waiting = next(iter(self._waiting.items()))
            if waiting.deadline > now:
                return
            self.services.log.timed_out(_shown(waiting.address), self._patience_s)
            self._dismiss(connection)

    def _dismiss(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._waiting[connection]
        connection.close()


def _fault_of(header: bytes) -> str:
    """Return the fault of a connection's first bytes as A-ASSOCIATE-RQ; empty if there is none."""
    kind, length = struct.unpack(">BxL", header)
    if kind == _ASSOCIATE_RQ:
        is_short = length <= _LONGEST_ASSOCIATE_RQ_BYTES
        return "" if is_short else f"the A-ASSOCIATE-RQ is longer than {_LONGEST_ASSOCIATE_RQ_BYTES} bytes"
    if kind == _TLS_HANDSHAKE:
        return "the peer offers TLS, which this port does not speak"
    if header.startswith(_HTTP_METHODS):
        return "the peer sent an HTTP request"
    return "the first bytes are not those of an A-ASSOCIATE-RQ"


def _shown(address: Any) -> str:
    return plain_address(str(address[0]))
