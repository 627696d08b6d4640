"""PDUs of an association, and the fragments in them (PS3.8 9.3).

They are read in pieces as large as have arrived, several PDUs at a time, and are not joined.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

P_DATA_TF = 0x04
"""Type of a PDU that carries presentation data values."""
COMMAND, LAST = 0x01, 0x02
"""Bits of a message control header (PS3.8 E.2): part of a command, and last fragment."""
HEADER_BYTES = 6
SLACK_BYTES = 4096
"""Tolerance for a PDU longer than negotiated, in bytes; a longer one is invalid."""

_PDV_HEADER = struct.Struct(">LBB")
_BUFFER_BYTES = 256 * 1024


class InvalidPdu(Exception):
    """The peer violated the Standard; nothing that follows can be understood."""


class PduStream:
    """Reads from a connection.

    Args:
        connection: socket with a time-out. Reads raise TimeoutError if the peer is silent for that
            long, and ConnectionError if it has closed the connection.
        longest: maximum length of a PDU, in bytes after its header.
    """

    def __init__(self, connection: socket.socket, longest: int) -> None:
        self._connection = connection
        self._longest = longest
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0

    def next(self) -> tuple[int, int]:
        """Wait for a PDU; return its type and its length in bytes after the header.

        Raises:
            InvalidPdu: it is longer than negotiated.
        """
        kind, length = struct.unpack(">BxL", self.read(HEADER_BYTES))
        if length > self._longest:
            raise InvalidPdu("a PDU is longer than was negotiated")
        return kind, length

    def read(self, count: int) -> bytes:
        """Return the next *count* bytes."""
        if count <= self._end - self._start:
            self._start += count
            return bytes(self._buffer[self._start - count : self._start])
        return b"".join(bytes(piece) for piece in self.pieces(count))

    def pieces(self, count: int) -> Iterator[memoryview]:
        """Yield the next *count* bytes as they arrive; a piece is valid until the next one."""
        while count:
            if self._start == self._end:
                self._fill()
            piece = self._buffer[self._start : min(self._end, self._start + count)]
            self._start += len(piece)
            count -= len(piece)
            yield piece

    def fragments(self, length: int) -> Iterator[tuple[int, int, memoryview]]:
        """Yield the fragments of a P-DATA-TF PDU (PS3.8 9.3.5), in pieces as they arrive.

        Yields:
            The id of the presentation context, the message control header, and the piece. LAST is
            set only with the last piece of a fragment.

        Raises:
            InvalidPdu: the lengths in the PDU contradict each other.
        """
        while length:
            if length < _PDV_HEADER.size:
                raise InvalidPdu("a P-DATA-TF PDU ends in the middle of a fragment's header")
            of_value, context_id, control = _PDV_HEADER.unpack(self.read(_PDV_HEADER.size))
            left = of_value - 2
            length -= 4 + of_value
            if left < 0 or length < 0:
                raise InvalidPdu("a fragment does not fit its P-DATA-TF PDU")
            if not left:
                yield context_id, control, self._buffer[:0]
            for piece in self.pieces(left):
                left -= len(piece)
                yield context_id, control & ~LAST if left else control, piece

    def drain(self, patience_s: float) -> None:
        """Read and discard until the peer closes the connection, or the time is over."""
        deadline = time.monotonic() + patience_s
        while (left := deadline - time.monotonic()) > 0:
            self._connection.settimeout(left)
            if not self._connection.recv_into(self._buffer):
                return

    def _fill(self) -> None:
        self._start = self._end = 0
        self._end = self._connection.recv_into(self._buffer)
        if not self._end:
            raise ConnectionError("the peer has closed the connection")
