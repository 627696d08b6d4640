"""What a peer sends over an association, as PDUs and the fragments in them (PS3.8 9.3).

Read in as large pieces as have come, several PDUs at a time, and handed on without being put together.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

P_DATA_TF = 0x04
"""The type of a PDU that carries presentation data values."""
COMMAND, LAST = 0x01, 0x02
"""Bits of a fragment's message control header (PS3.8 E.2): it is part of a command; it is the last one."""
HEADER_BYTES = 6
SLACK_BYTES = 4096
"""By so much a PDU may be longer than was negotiated before it is taken for an attack or nonsense."""

_PDV_HEADER = struct.Struct(">LBB")
_BUFFER_BYTES = 256 * 1024


class InvalidPdu(Exception):
    """The peer sent what the standard does not allow; nothing that follows can be understood."""


class PduStream:
    """Reads from a connection.

    Args:
        connection: with a time-out; reads raise TimeoutError when the peer is silent for so long, and
            ConnectionError when it has gone.
        longest: how long a PDU may be, in bytes after its header.
    """

    def __init__(self, connection: socket.socket, longest: int) -> None:
        self._connection = connection
        self._longest = longest
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0

    def next(self) -> tuple[int, int]:
        """Wait for a PDU; return its type, and how many bytes it has after its header.

        Raises:
            InvalidPdu: it is longer than it may be.
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
        """Yield the next *count* bytes as they come; a piece is the reader's until it asks for the next."""
        while count:
            if self._start == self._end:
                self._fill()
            piece = self._buffer[self._start : min(self._end, self._start + count)]
            self._start += len(piece)
            count -= len(piece)
            yield piece

    def fragments(self, length: int) -> Iterator[tuple[int, int, memoryview]]:
        """Yield what is in a P-DATA-TF PDU of this length (PS3.8 9.3.5), fragments in pieces as they come.

        Yields:
            The id of the presentation context, the message control header, and the piece; LAST is set only
            with the last piece of a fragment.

        Raises:
            InvalidPdu: the lengths in it contradict each other.
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
        """Read and forget until the peer closes the connection, or its time is up."""
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
