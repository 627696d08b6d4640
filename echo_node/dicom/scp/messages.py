"""DIMSE messages from their fragments: a command, then its data set (PS3.7 6.3, PS3.8 Annex E).

A data set is forwarded in pieces, and is never in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from echo_node.dicom.scp.command import Command, read_command
from echo_node.dicom.scp.pdu_stream import COMMAND, LAST, InvalidPdu
from echo_node.domain.studies.intake import Piece

_LONGEST_COMMAND_BYTES = 64 * 1024
_GATHERED_BYTES = 512 * 1024


class Message(Protocol):
    """A message whose command has arrived."""

    def write(self, piece: Piece) -> None:
        """Take the next bytes of its data set."""
        ...

    def finish(self) -> None:
        """Execute it: all of it has arrived."""
        ...

    def abandon(self) -> None:
        """Discard it: the rest will not arrive."""
        ...


class Messages:
    """Assembles one message after another.

    Args:
        begin: creates a message from the id of its presentation context, its command, and the
            encoded command. It may raise InvalidPdu, or ValueError for an unusable command.
    """

    def __init__(self, begin: Callable[[int, Command, bytes], Message]) -> None:
        self._begin = begin
        self._command = bytearray()
        self._message: Message | None = None
        self._context_id = 0
        self._gathered = memoryview(bytearray(_GATHERED_BYTES))
        self._filled = 0

    def take(self, context_id: int, control: int, piece: memoryview) -> None:
        """Take a piece of a fragment (see PduStream.fragments).

        Raises:
            InvalidPdu: it does not belong to a message.
        """
        if control & COMMAND:
            self._take_command(context_id, piece, is_last=bool(control & LAST))
        else:
            self._take_data_set(context_id, piece, is_last=bool(control & LAST))

    def abandon(self) -> None:
        """Discard a message that has not arrived as a whole."""
        if self._message is not None:
            self._message.abandon()
            self._message = None

    def _take_command(self, context_id: int, piece: memoryview, *, is_last: bool) -> None:
        if self._message is not None:
            raise InvalidPdu("a command came in the middle of a data set")
        self._command += piece
        if len(self._command) > _LONGEST_COMMAND_BYTES:
            raise InvalidPdu("a command is too long")
        if not is_last:
            return
        encoded = bytes(self._command)
        self._command.clear()
        try:
            command = read_command(encoded)
            message = self._begin(context_id, command, encoded)
            has_data_set = command.has_data_set
        except ValueError as error:
            raise InvalidPdu(str(error)) from error
        if has_data_set:
            self._message, self._context_id, self._filled = message, context_id, 0
        else:
            message.finish()

    def _take_data_set(self, context_id: int, piece: memoryview, *, is_last: bool) -> None:
        message = self._message
        if message is None or self._command or context_id != self._context_id:
            raise InvalidPdu("a data set came without its command")
        if self._filled + len(piece) > len(self._gathered):
            message.write(self._gathered[: self._filled])
            self._filled = 0
        self._gathered[self._filled : self._filled + len(piece)] = piece
        self._filled += len(piece)
        if is_last:
            message.write(self._gathered[: self._filled])
            self._message = None
            message.finish()
