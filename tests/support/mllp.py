"""A reporting system: a socket server that speaks MLLP and acknowledges as it is told."""

from __future__ import annotations

import re
import socket
import socketserver
import ssl
import threading
from types import TracebackType
from typing import Any, Self

BEGIN, END = b"\x0b", b"\x1c\r"
_MEANINGS = {"E": "\\", "F": "|", "S": "^", "T": "&", "R": "~", ".br": "\n", "X0D": "\r"}


def unescaped(value: str) -> str:
    """Read a value as a receiver does (HL7 2.5.1, 2.7)."""
    return re.sub(r"\\([^\\]*)\\", lambda found: _MEANINGS[found[1]], value)


def acknowledgement(message: bytes, code: str, about: str | None = None) -> bytes:
    """Return an ACK of a message, with a text that must not reach our logs."""
    header = message.split(b"\r", 1)[0].decode().split("|")
    control_id = header[9] if about is None else about
    ack = "MSH|^~\\&|RIS||ECHO_NODE||20260102030405||ACK^R01^ACK|1|P|2.5.1\r"
    return BEGIN + f"{ack}MSA|{code}|{control_id}|Doe^Jane is unknown\r".encode() + END


class ReportingSystem:
    """Keeps the messages that it receives, and gives each its answer; the last answer repeats.

    An answer is an acknowledgement code, or bytes to send as they are. None ends the connection at
    once. "" is no answer at all until the sender has gone.
    """

    def __init__(self, *answers: str | bytes | None, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[bytes] = []
        self._answers = list(answers) or ["AA"]
        system = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data = b""
                while not data.endswith(END):
                    piece = self.request.recv(65_536)
                    if not piece:
                        return
                    data += piece
                assert data.startswith(BEGIN)
                message = data.removeprefix(BEGIN).removesuffix(END)
                system.received.append(message)
                answer = system._answers.pop(0) if len(system._answers) > 1 else system._answers[0]
                if answer == "":
                    while self.request.recv(65_536):
                        pass
                    return
                reply = acknowledgement(message, answer) if isinstance(answer, str) else answer or b""
                for byte in range(0, len(reply), 7):  # in pieces, as networks deliver
                    self.request.sendall(reply[byte : byte + 7])

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def get_request(self) -> tuple[socket.socket, Any]:
                connection, address = super().get_request()
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                return connection, address

            def handle_error(self, request: object, client_address: object) -> None:
                """A handshake that the client breaks off is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
