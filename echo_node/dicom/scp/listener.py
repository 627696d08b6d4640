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
from echo_node.dicom.scp.acceptor import Acceptor
from echo_node.dicom.scp.c_store import StoreService
from echo_node.dicom.scp.pdu_stream import HEADER_BYTES, SLACK_BYTES

_log = structlog.get_logger()

_ASSOCIATE_RQ = 0x01
_LONGEST_ASSOCIATE_RQ_BYTES = 256 * 1024
_TICK_S = 0.5


@dataclass(slots=True)
class _Waiting:
    address: Any
    deadline: float


class _BoundedSocket(ClosingSocket):
    """Reads a PDU in few large pieces, and rejects one longer than negotiated."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Return *nr_bytes*, or fewer if the connection ends.

        Raises:
            OSError: the peer announces a PDU that is too long, or is silent for too long.
        """
        longest = self.assoc.acceptor.maximum_length
        if longest and nr_bytes > max(longest, _LONGEST_ASSOCIATE_RQ_BYTES) + SLACK_BYTES:
            raise OSError("the peer announces a longer PDU than was negotiated")
        connection = self.socket
        if connection is None:
            return bytearray()
        content = bytearray(nr_bytes)
        view, done = memoryview(content), 0
        while done < nr_bytes:
            read = connection.recv_into(view[done:])
            if read == 0:
                break
            done += read
        view.release()
        del content[done:]
        return content


class _BoundedHandler(AssociationHandler):
    """Starts an association on a bounded socket, to be served by our own thread."""

    def prepare(self, association: Association) -> None:
        """Give the association a bounded socket, and an acceptor that serves it."""
        bounded = _BoundedSocket(association, client_socket=self.request)
        # Each socket announces the connection; the state machine must see it once (PS3.8 table
        # 9-10).
        association.dul.event_queue.get_nowait()
        association.dul.socket = bounded
        Acceptor(association, bounded, cast("AssociationListener", self.server).service)


class AssociationListener(AssociationServer):
    """pynetdicom's server with a queue of waiting connections before it.

    Args:
        patience_s: time limit for a connection to request an association, in seconds.
        silence_s: time limit of a read or write on an association's socket, in seconds.
        maximum_waiting: maximum number of waiting connections; another one displaces the oldest.
        shares_port: whether other processes listen on the same port, and the kernel distributes
            connections among them.
        service: C-STORE service.
    """

    request_queue_size = 128

    def __init__(
        self,
        *args: Any,
        patience_s: float,
        silence_s: float,
        maximum_waiting: int,
        shares_port: bool = False,
        service: StoreService,
        **keywords: Any,
    ) -> None:
        self.service = service
        self._shares_port = shares_port
        keywords["request_handler"] = _BoundedHandler
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
            _log.warning("connection_displaced", count=len(self._waiting))
            self._dismiss(oldest)
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, HEADER_BYTES)
        self._waiting[connection] = _Waiting(address, time.monotonic() + self._patience_s)
        self._selector.register(connection, selectors.EVENT_READ)

    def _look_at(self, connection: socket.socket) -> None:
        """Forward the connection if its A-ASSOCIATE-RQ has arrived as a whole."""
        try:
            header = connection.recv(HEADER_BYTES, socket.MSG_PEEK)
            if len(header) < HEADER_BYTES:
                self._dismiss(connection)
                return
            kind, length = struct.unpack(">BxL", header)
            if kind != _ASSOCIATE_RQ or length > _LONGEST_ASSOCIATE_RQ_BYTES:
                _log.info("connection_is_not_dicom")
                self._dismiss(connection)
                return
            whole = HEADER_BYTES + length
            if len(connection.recv(whole, socket.MSG_PEEK)) < whole:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, whole)
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        except BlockingIOError:
            return
        except OSError:
            self._dismiss(connection)
            return
        self._pass_on(connection)

    def _pass_on(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        address = self._waiting.pop(connection).address
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self._silence_s)
        try:
            self.finish_request(connection, address)
        except RuntimeError as error:  # no more threads
            _log.error("association_not_started", error=type(error).__name__)
            self.shutdown_request(connection)

    def _dismiss_overdue(self) -> None:
        now = time.monotonic()
        # They are in the order of arrival, and so of deadlines.
        while self._waiting:
            connection, waiting = next(iter(self._waiting.items()))
            if waiting.deadline > now:
                return
            _log.info("connection_timed_out", seconds=self._patience_s)
            self._dismiss(connection)

    def _dismiss(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._waiting[connection]
        connection.close()
