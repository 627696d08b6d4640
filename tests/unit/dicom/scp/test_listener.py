from __future__ import annotations

import gc
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from structlog.testing import capture_logs
from support.sinks import Sink

from echo_node.dicom.scp.provider import StorageProvider
from echo_node.settings import IntakeSettings, NodeSettings

VERIFICATION = "1.2.840.10008.1.1"


@contextmanager
def listening(**intake: object) -> Iterator[int]:
    node = NodeSettings(bind_address="127.0.0.1", port=0)
    provider = StorageProvider(node, IntakeSettings.model_validate(intake), {}, Sink())
    try:
        yield provider.start()
    finally:
        provider.stop()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def echo(port: int) -> int:
    entity = AE("TESTER")
    entity.acse_timeout = entity.dimse_timeout = 10
    entity.add_requested_context(VERIFICATION)
    association = entity.associate("127.0.0.1", port, ae_title="ECHO_NODE")
    assert association.is_established
    status = int(association.send_c_echo().Status)
    association.release()
    return status


def is_closed(connection: socket.socket) -> bool:
    """Wait until the node has closed the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_idle_connections_keep_nobody_out_and_start_no_threads() -> None:
    with listening(maximum_associations=4) as port, ExitStack() as stack:
        before = threading.active_count()
        idle = [stack.enter_context(connect(port)) for _ in range(60)]
        started = time.monotonic()
        assert echo(port) == 0x0000
        assert time.monotonic() - started < 5
        _wait_for(lambda: threading.active_count() <= before)
        assert len(idle) == 60


@pytest.mark.usefixtures("bare_pynetdicom")
def test_senders_that_die_cost_no_file_descriptors() -> None:
    with listening() as port:
        gc.disable()
        try:
            before = _descriptors()
            for _ in range(5):
                with connect(port) as dying:
                    dying.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    dying.sendall(_association_request())
                    assert dying.recv(1) == b"\x02"  # A-ASSOCIATE-AC; then a reset
            _wait_for(lambda: _descriptors() == before)
        finally:
            gc.enable()


def test_further_connections_displace_the_oldest() -> None:
    with listening(maximum_associations=1) as port, ExitStack() as stack, capture_logs() as logs:
        idle = [stack.enter_context(connect(port)) for _ in range(70)]
        assert all(is_closed(connection) for connection in idle[:6])
        assert echo(port) == 0x0000
    assert {log["event"] for log in logs} == {"connection_displaced"}


def test_a_connection_that_asks_for_nothing_is_closed() -> None:
    with listening(acse_timeout_s=0.2) as port, connect(port) as silent, connect(port) as half:
        half.sendall(b"\x01\x00\x00\x00\x00\xcd\x00\x01")
        assert is_closed(silent)
        assert is_closed(half)
        assert echo(port) == 0x0000


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        struct.pack(">BxL", 0x04, 100),
        struct.pack(">BxL", 0x01, 2**31),
    ],
)
def test_what_is_not_an_association_request_is_closed_at_once(sent: bytes) -> None:
    with listening(acse_timeout_s=600) as port, connect(port) as stranger:
        stranger.sendall(sent)
        assert is_closed(stranger)
        assert echo(port) == 0x0000


def test_connecting_and_closing_as_load_balancers_do_is_harmless() -> None:
    with listening() as port, capture_logs() as logs:
        for _ in range(20):
            connect(port).close()
        assert echo(port) == 0x0000
    assert logs == []


def test_a_request_that_comes_in_pieces_is_served() -> None:
    with listening() as port, connect(port) as slow:
        request = _association_request()
        for start in range(0, len(request), 40):
            slow.sendall(request[start : start + 40])
            time.sleep(0.005)
        assert slow.recv(1) == b"\x02"  # A-ASSOCIATE-AC


def test_silence_in_the_middle_of_a_pdu_ends_the_association() -> None:
    with listening(network_timeout_s=0.3) as port, connect(port) as dead:
        dead.sendall(_association_request())
        assert dead.recv(1) == b"\x02"
        dead.sendall(struct.pack(">BxL", 0x04, 5000) + b"\0" * 100)
        while dead.recv(4096):
            pass  # the rest of the acceptance, perhaps an abort, then the end
        assert echo(port) == 0x0000


def test_spoilt_requests_keep_nobody_out() -> None:
    """A PDU whose content is not a request ends its connection at once, not after a time-out."""
    request = bytearray(_association_request())
    request[74:] = b"\xff" * len(request[74:])  # its items
    with listening(maximum_associations=2, acse_timeout_s=600) as port:
        for _ in range(6):
            with connect(port) as connection:
                connection.sendall(request)
                connection.recv(1)
        _wait_for(lambda: not any(isinstance(each, Association) for each in threading.enumerate()))
        assert echo(port) == 0


def test_a_longer_pdu_than_negotiated_ends_the_association_at_once() -> None:
    with listening(network_timeout_s=600) as port, connect(port) as greedy:
        greedy.sendall(_association_request())
        assert greedy.recv(1) == b"\x02"
        greedy.sendall(struct.pack(">BxL", 0x04, 2**31))
        while greedy.recv(4096):
            pass
        assert echo(port) == 0x0000


def _association_request() -> bytes:
    """Return an A-ASSOCIATE-RQ for verification, byte for byte (PS3.8 9.3.2)."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(content)) + content

    syntaxes = item(0x30, VERIFICATION.encode()) + item(0x40, b"1.2.840.10008.1.2")
    variable = (
        item(0x10, b"1.2.840.10008.3.1.1.1")
        + item(0x20, b"\x01\0\0\0" + syntaxes)
        + item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3.4"))
    )
    fixed = b"\0\x01\0\0" + b"ECHO_NODE".ljust(16) + b"TESTER".ljust(16) + bytes(32)
    return struct.pack(">BxL", 0x01, len(fixed + variable)) + fixed + variable


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in 10 s"
        time.sleep(0.01)


def _descriptors() -> int:
    return len([*Path("/dev/fd").iterdir()])
