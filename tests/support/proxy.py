"""A TCP proxy before a PACS that can swallow its answers, as a broken network does."""

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_HEADER = struct.Struct(">BxL")
_ASSOCIATE_AC = 0x02


class AnswerSwallower:
    """Passes everything on; while `swallowing`, of the PACS's answers only A-ASSOCIATE-AC.

    Args:
        port: where the PACS listens, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.swallowing = False
        self._closed = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._closed = True
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()  # wakes the accepting thread
        self._listener.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._closed:
                client.close()
                return
            pacs = socket.create_connection(("127.0.0.1", self._target))
            for source, sink, pump in ((client, pacs, self._pass), (pacs, client, self._pass_answers)):
                threading.Thread(target=pump, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), sink:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)  # closing alone does not end the other thread's read

    def _pass_answers(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), sink:
            while (header := self._receive(source, _HEADER.size)) is not None:
                kind, length = _HEADER.unpack(header)
                body = self._receive(source, length)
                if body is None:
                    return
                if kind == _ASSOCIATE_AC or not self.swallowing:
                    sink.sendall(header + body)

    @staticmethod
    def _receive(source: socket.socket, count: int) -> bytes | None:
        received = b""
        while len(received) < count:
            chunk = source.recv(count - len(received))
            if not chunk:
                return None
            received += chunk
        return received
