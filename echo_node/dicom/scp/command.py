"""Command sets of C-STORE, request and response (PS3.7 9.3.1, Annex E).

They are read and written here because libraries take longer for them than for the rest of an image.
pynetdicom handles all other messages.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from echo_node.dicom.scp.pdu_stream import COMMAND, LAST, P_DATA_TF

C_STORE_RQ = 0x0001
_C_STORE_RSP = 0x8001
_NO_DATA_SET = 0x0101
_HIGH = b"\x01\x00"  # PS3.7 9.3.1.1
_ELEMENT = struct.Struct("<HHL")
_LONGEST_COMMENT = 64

_AFFECTED_SOP_CLASS_UID = 0x0002
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
_PRIORITY = 0x0700
_COMMAND_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_ERROR_COMMENT = 0x0902
_AFFECTED_SOP_INSTANCE_UID = 0x1000


@dataclass(frozen=True, slots=True)
class Command:
    """A received command set: its encoded elements, by their numbers in group 0000."""

    elements: dict[int, bytes]

    @property
    def field(self) -> int:
        """The Command Field, which is the type of the message."""
        return self._number(_COMMAND_FIELD)

    @property
    def message_id(self) -> int:
        """The Message ID, to which a response refers."""
        return self._number(_MESSAGE_ID)

    @property
    def has_message_id(self) -> bool:
        """Whether there is a Message ID."""
        return len(self.elements.get(_MESSAGE_ID, b"")) == 2

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self._number(_COMMAND_DATA_SET_TYPE) != _NO_DATA_SET

    @property
    def is_urgent(self) -> bool:
        """Whether the Priority is HIGH."""
        return self.elements.get(_PRIORITY) == _HIGH

    @property
    def sop_class_uid(self) -> str:
        """The Affected SOP Class UID; empty if there is none."""
        return self._uid(_AFFECTED_SOP_CLASS_UID)

    @property
    def sop_instance_uid(self) -> str:
        """The Affected SOP Instance UID; empty if there is none."""
        return self._uid(_AFFECTED_SOP_INSTANCE_UID)

    def _number(self, element: int) -> int:
        value = self.elements.get(element, b"")
        if len(value) != 2:
            raise ValueError(f"the command set has no usable element (0000,{element:04X})")
        return int.from_bytes(value, "little")

    def _uid(self, element: int) -> str:
        return self.elements.get(element, b"").decode("ascii", "replace").rstrip(" \0")


def read_command(encoded: bytes) -> Command:
    """Return a command set, which is always in Implicit VR Little Endian (PS3.7 6.3.1).

    Raises:
        ValueError: it is not a command set.
    """
    elements, position = {}, 0
    while position < len(encoded):
        if position + _ELEMENT.size > len(encoded):
            raise ValueError("the command set ends in the middle of an element")
        group, element, length = _ELEMENT.unpack_from(encoded, position)
        position += _ELEMENT.size + length
        if group or position > len(encoded):
            raise ValueError("the command set contains other elements, or ends in the middle of one")
        elements[element] = encoded[position - length : position]
    return Command(elements)


def store_response(request: Command, status: int, comment: str, context_id: int, longest: int) -> bytes:
    """Return the P-DATA-TF PDUs of a C-STORE response.

    Args:
        request: the request, which has a Message ID.
        status: status (PS3.4 B.2.3).
        comment: reason, for a reader of the sender's log; empty for none.
        context_id: id of the request's presentation context.
        longest: maximum length of a PDU that the peer accepts; 0 for any length.
    """
    elements = [
        (_AFFECTED_SOP_CLASS_UID, request.elements.get(_AFFECTED_SOP_CLASS_UID, b"")),
        (_COMMAND_FIELD, struct.pack("<H", _C_STORE_RSP)),
        (_MESSAGE_ID_BEING_RESPONDED_TO, struct.pack("<H", request.message_id)),
        (_COMMAND_DATA_SET_TYPE, struct.pack("<H", _NO_DATA_SET)),
        (_STATUS, struct.pack("<H", status)),
        (_ERROR_COMMENT, _even(comment[:_LONGEST_COMMENT])),
        (_AFFECTED_SOP_INSTANCE_UID, request.elements.get(_AFFECTED_SOP_INSTANCE_UID, b"")),
    ]
    body = b"".join(_ELEMENT.pack(0, element, len(value)) + value for element, value in elements if value)
    command = _ELEMENT.pack(0, 0, 4) + struct.pack("<L", len(body)) + body
    step = max(longest - 6, 1) if longest else len(command)
    starts = range(0, len(command), step)
    return b"".join(_fragment(context_id, command[at : at + step], is_last=at == starts[-1]) for at in starts)


def _fragment(context_id: int, content: bytes, *, is_last: bool) -> bytes:
    length = len(content) + 2
    control = COMMAND | (LAST if is_last else 0)
    return struct.pack(">BxLLBB", P_DATA_TF, length + 4, length, context_id, control) + content


def _even(text: str) -> bytes:
    encoded = text.encode("ascii", "replace")
    return encoded + b" " * (len(encoded) % 2)
