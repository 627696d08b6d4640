"""Items of association requests and acceptances (PS3.8 9.3.2, 9.3.3), without trust in a length."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from echo_node.domain.identifiers import is_usable_uid

APPLICATION_CONTEXT, PROPOSED_CONTEXT, CONTEXT_RESULT, USER_INFORMATION = 0x10, 0x20, 0x21, 0x50
MAXIMUM_LENGTH, IMPLEMENTATION_CLASS, ROLE_SELECTION = 0x51, 0x52, 0x54

_HEADER = struct.Struct(">BxH")
_ITEMS_FROM = 74


def items(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each item; fewer bytes than an item's header are padding.

    Raises:
        ValueError: an item is longer than what contains it.
    """
    position = 0
    while position + _HEADER.size <= len(content):
        kind, length = _HEADER.unpack_from(content, position)
        position += _HEADER.size + length
        if position > len(content):
            raise ValueError("an item is longer than what contains it")
        yield kind, content[position - length : position]


def item(kind: int, content: bytes) -> bytes:
    """Return an encoded item."""
    return _HEADER.pack(kind, len(content)) + content


def plain_acceptance(pdu: bytes) -> bytes:
    """Return an A-ASSOCIATE-AC without the items that pynetdicom might not understand.

    It aborts an association whose acceptance contains an unknown item, or an Implementation Version
    Name of more than 16 characters. A PDU whose lengths contradict each other is returned as it is.
    """
    try:
        kept = b"".join(_plain(kind, content) for kind, content in items(pdu[_ITEMS_FROM:]))
    except ValueError:
        return pdu
    content = pdu[6:_ITEMS_FROM] + kept
    return pdu[:2] + len(content).to_bytes(4, "big") + content


def _plain(kind: int, content: bytes) -> bytes:
    if kind == USER_INFORMATION:
        known = (item(*each) for each in items(content) if _is_plain(*each))
        return item(kind, b"".join(known))
    return item(kind, content) if kind in {APPLICATION_CONTEXT, CONTEXT_RESULT} else b""


def _is_plain(kind: int, content: bytes) -> bool:
    if kind == IMPLEMENTATION_CLASS:
        return is_usable_uid(content.decode("latin-1").rstrip(" \0"))
    return kind == ROLE_SELECTION or (kind == MAXIMUM_LENGTH and len(content) == 4)
