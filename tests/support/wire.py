"""PDUs and messages byte by byte, so that a test can send what no toolkit would (PS3.7, PS3.8)."""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

VERIFICATION = "1.2.840.10008.1.1"
CR = "1.2.840.10008.5.1.4.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
COMMITMENT = "1.2.840.10008.1.20.1"
IMPLICIT, EXPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
APPLICATION = "1.2.840.10008.3.1.1.1"

ACCEPTED, REJECTED, DATA, RELEASED, ABORTED = 0x02, 0x03, 0x04, 0x06, 0x07
RELEASE_RQ = bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0])


def item(kind: int, content: bytes) -> bytes:
    """Return an item or sub-item."""
    return struct.pack(">BxH", kind, len(content)) + content


def context(number: int, abstract: str | bytes, *transfer: str) -> bytes:
    """Return a proposed presentation context."""
    abstract = abstract.encode() if isinstance(abstract, str) else abstract
    syntaxes = item(0x30, abstract) + b"".join(item(0x40, each.encode()) for each in transfer)
    return item(0x20, bytes([number, 0, 0, 0]) + syntaxes)


MAXIMUM_LENGTH = item(0x51, struct.pack(">L", 16384))
IMPLEMENTATION = item(0x52, b"1.2.3.4")
CONTEXTS = context(1, VERIFICATION, IMPLICIT) + context(3, CR, EXPLICIT, IMPLICIT)


def request(
    *,
    called: bytes = b"ECHO_NODE",
    calling: bytes = b"ROOM_1",
    version: int = 1,
    application: bytes = item(0x10, APPLICATION.encode()),
    contexts: bytes = CONTEXTS,
    user: bytes = MAXIMUM_LENGTH + IMPLEMENTATION,
    more: bytes = b"",
) -> bytes:
    """Return an A-ASSOCIATE-RQ."""
    fixed = struct.pack(">HH", version, 0) + called.ljust(16)[:16] + calling.ljust(16)[:16] + bytes(32)
    content = fixed + application + contexts + item(0x50, user) + more
    return struct.pack(">BxL", 0x01, len(content)) + content


@contextmanager
def connection(port: int, sent: bytes) -> Iterator[socket.socket]:
    """Open a connection and send bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as opened:
        opened.sendall(sent)
        yield opened


def answer(opened: socket.socket) -> tuple[int, bytes]:
    """Return type and content of the next PDU; type 0 at the end of the connection."""
    header = _exactly(opened, 6)
    if len(header) < 6:
        return 0, b""
    kind, length = struct.unpack(">BxL", header)
    return kind, _exactly(opened, length)


def asked(port: int, sent: bytes) -> tuple[int, bytes]:
    """Return the answer to an association request, and release the association."""
    with connection(port, sent) as opened:
        kind, content = answer(opened)
        if kind == ACCEPTED:
            opened.sendall(RELEASE_RQ)
            assert answer(opened)[0] == RELEASED
        return kind, content


def results(acceptance: bytes) -> dict[int, int]:
    """Return the result of each presentation context by its id."""
    return {content[0]: content[2] for kind, content in items(acceptance[68:]) if kind == 0x21}


def items(content: bytes) -> list[tuple[int, bytes]]:
    """Return the items of a PDU, or the sub-items of an item."""
    found, position = [], 0
    while position < len(content):
        kind, length = struct.unpack_from(">BxH", content, position)
        found.append((kind, content[position + 4 : position + 4 + length]))
        position += 4 + length
    return found


def element(number: int, value: bytes) -> bytes:
    """Return an element of a command set."""
    return struct.pack("<HHL", 0, number, len(value)) + value


def command(*elements: bytes) -> bytes:
    """Return a command set."""
    content = b"".join(elements)
    return element(0, struct.pack("<L", len(content))) + content


def echo_rq(sop_class: bytes = VERIFICATION.encode() + b"\0") -> bytes:
    """Return the command set of a C-ECHO request."""
    return command(
        element(0x0002, sop_class),
        element(0x0100, b"\x30\x00"),
        element(0x0110, b"\x01\x00"),
        element(0x0800, b"\x01\x01"),
    )


def store_rq(sop_instance_uid: str, sop_class: str = CR) -> bytes:
    """Return the command set of a C-STORE request."""
    return command(
        element(0x0002, _padded(sop_class)),
        element(0x0100, b"\x01\x00"),
        element(0x0110, b"\x01\x00"),
        element(0x0700, b"\x02\x00"),
        element(0x0800, b"\x00\x00"),
        element(0x1000, _padded(sop_instance_uid)),
    )


def message(number: int, encoded: bytes, data_set: bytes | None = None) -> bytes:
    """Return the P-DATA-TF PDUs of a message under the presentation context *number*."""
    parts = [(0x03, encoded)] if data_set is None else [(0x03, encoded), *_fragments(data_set)]
    return b"".join(
        struct.pack(">BxLLBB", DATA, len(part) + 6, len(part) + 2, number, control) + part
        for control, part in parts
    )


def status(opened: socket.socket) -> tuple[int, str]:
    """Return status and Error Comment of the response that comes next."""
    kind, content = answer(opened)
    assert kind == DATA, f"PDU of type {kind}"
    found = dict(_elements(content[6:]))
    return int.from_bytes(found[0x0900], "little"), found.get(0x0902, b"").decode().strip(" ")


def _elements(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(encoded):
        _, number, length = struct.unpack_from("<HHL", encoded, position)
        yield number, encoded[position + 8 : position + 8 + length]
        position += 8 + length


def _fragments(data_set: bytes) -> Sequence[tuple[int, bytes]]:
    pieces = [data_set[start : start + 16000] for start in range(0, len(data_set), 16000)] or [b""]
    return [(0x02 if number == len(pieces) else 0x00, piece) for number, piece in enumerate(pieces, 1)]


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def _exactly(opened: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        try:
            read = opened.recv(count - len(content))
        except ConnectionResetError:
            return content
        if not read:
            return content
        content += read
    return content
