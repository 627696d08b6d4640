"""Acceptances of an association as archives send them: the node understands what it needs."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pynetdicom.presentation import build_context
from support import wire
from support.wire import item

from echo_node.dicom.association_items import plain_acceptance
from echo_node.dicom.scu.associate import associated
from echo_node.settings import Peer

PLAIN = wire.MAXIMUM_LENGTH + wire.IMPLEMENTATION
RESULT = item(0x21, b"\x01\0\0\0" + item(0x40, wire.IMPLICIT.encode()))
RELEASE_RP = bytes([6, 0, 0, 0, 0, 4, 0, 0, 0, 0])


def acceptance(user: bytes, titles: bytes = b"PACS".ljust(16) + b"ECHO_NODE".ljust(16)) -> bytes:
    """Return an A-ASSOCIATE-AC with this user information."""
    content = struct.pack(">HH", 1, 0) + titles + bytes(32) + item(0x10, wire.APPLICATION.encode())
    content += RESULT + item(0x50, user)
    return struct.pack(">BxL", 0x02, len(content)) + content


@contextmanager
def archive(answer: bytes) -> Iterator[Peer]:
    """Run an archive that accepts one association with *answer*, and then releases it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            wire.answer(connection)
            connection.sendall(answer)
            if wire.answer(connection)[0] == 5:
                connection.sendall(RELEASE_RP)
                wire.answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Peer(ae_title="PACS", host="127.0.0.1", port=listening.getsockname()[1])
    finally:
        thread.join(10)
        listening.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(acceptance(PLAIN), id="plain"),
        pytest.param(acceptance(PLAIN + item(0x55, b"SOME_ARCHIVE_LONG_20")), id="long version name"),
        pytest.param(acceptance(PLAIN + item(0xEE, b"what")), id="unknown sub-item"),
        pytest.param(acceptance(PLAIN + item(0x53, b"")), id="broken asynchronous operations"),
        pytest.param(acceptance(PLAIN + item(0x59, b"\0\0")), id="identity that was not asked for"),
        pytest.param(acceptance(wire.MAXIMUM_LENGTH), id="no implementation class"),
        pytest.param(acceptance(wire.MAXIMUM_LENGTH + item(0x52, b"x" * 70)), id="odd implementation class"),
        pytest.param(acceptance(PLAIN, bytes(32)), id="titles of NULs"),
        pytest.param(acceptance(PLAIN, "Röntgen".encode().ljust(32, b"\0")), id="titles with other letters"),
    ],
)
def test_an_association_is_established(answer: bytes) -> None:
    contexts = [build_context(wire.VERIFICATION, wire.IMPLICIT)]
    with archive(answer) as peer, associated(peer, "ECHO_NODE", contexts, 5) as association:
        assert [each.context_id for each in association.accepted_contexts] == [1]
        assert association.acceptor.maximum_length == 16384


def test_a_plain_acceptance_is_left_as_it_is() -> None:
    assert plain_acceptance(acceptance(PLAIN)) == acceptance(PLAIN)
    broken = acceptance(PLAIN)[:-3]
    assert plain_acceptance(broken) == broken
