"""An association that is established: what peers do in it, byte for byte, and what they get."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from pynetdicom.association import Association
from structlog.testing import capture_logs
from support import wire
from support.sinks import Arriving, Sink

from echo_node.bench.sending import association_request, store_request
from echo_node.dicom.scp.pdu_stream import P_DATA_TF
from echo_node.dicom.scp.provider import StorageProvider
from echo_node.domain.studies.intake import Piece
from echo_node.errors import InstanceRejected
from echo_node.settings import IntakeSettings, NodeSettings

IMAGE = bytes(store_request(16_384, 40_000, 0))


@pytest.fixture
def sink() -> Sink:
    return Sink()


@contextmanager
def provider(sink: Sink, **intake: object) -> Iterator[StorageProvider]:
    node = NodeSettings(bind_address="127.0.0.1", port=0)
    running = StorageProvider(node, IntakeSettings.model_validate(intake), {}, sink)
    running.port = running.start()  # type: ignore[attr-defined]
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def port(sink: Sink) -> Iterator[int]:
    with provider(sink) as running:
        yield running.port  # type: ignore[attr-defined]


@contextmanager
def peer(port: int) -> Iterator[socket.socket]:
    """Open an association by hand."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(association_request("ECHO_NODE"))
        assert wire.answer(connection)[0] == wire.ACCEPTED
        yield connection


def status_of(connection: socket.socket) -> int:
    """Return the status in the C-STORE response that comes next."""
    return wire.status(connection)[0]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in 10 s"
        time.sleep(0.01)


def no_association_is_left() -> bool:
    return not any(isinstance(thread, Association) for thread in threading.enumerate())


def test_images_one_after_another_then_a_release(port: int, sink: Sink) -> None:
    with peer(port) as connection:
        for _ in range(3):
            connection.sendall(IMAGE)
            assert status_of(connection) == 0x0000
        connection.sendall(wire.RELEASE_RQ)
        assert wire.answer(connection)[0] == wire.RELEASED
        assert wire.answer(connection)[0] == 0  # and closes
    assert len(sink.received) == 3
    assert len(set(sink.data_sets)) == 1
    assert sink.left == 0
    wait_for(no_association_is_left)


def test_what_was_sent_ahead_is_served_in_its_order(port: int, sink: Sink) -> None:
    with peer(port) as connection:
        connection.sendall(IMAGE * 3 + wire.RELEASE_RQ)
        assert [status_of(connection) for _ in range(3)] == [0x0000] * 3
        assert wire.answer(connection)[0] == wire.RELEASED
    assert len(sink.received) == 3


def test_an_image_that_comes_byte_by_byte_is_the_same(port: int, sink: Sink) -> None:
    with peer(port) as connection:
        connection.sendall(IMAGE)
        assert status_of(connection) == 0x0000
        for start in range(0, len(IMAGE), 997):
            connection.sendall(IMAGE[start : start + 997])
        assert status_of(connection) == 0x0000
    assert sink.data_sets[0] == sink.data_sets[1]


def test_an_open_association_costs_one_thread(port: int) -> None:
    before = threading.active_count()
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(peer(port))
        wait_for(lambda: threading.active_count() == before + 5)
    wait_for(lambda: threading.active_count() == before)


def test_what_is_refused_on_the_way_is_let_pass_and_answered(port: int, sink: Sink) -> None:
    """The disk fills up within a data set: the rest is read, and the association continues."""

    class Full(Arriving):
        def write(self, piece: Piece) -> None:
            raise InstanceRejected(0xA700, "the disk is full")

    whole = bytes(store_request(16_384, 1_500_000, 0))

    @contextmanager
    def full(file_meta: bytes) -> Iterator[Arriving]:
        yield Full(sink, file_meta)

    with peer(port) as connection, capture_logs() as logs:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sink, "begin", full)
            connection.sendall(whole)
            assert status_of(connection) == 0xA700
        connection.sendall(whole)
        assert status_of(connection) == 0x0000
    assert [log["status"] for log in logs if log["event"] == "instance_refused"] == ["0xA700"]
    assert len(sink.received) == 1


def test_an_instance_that_is_refused_at_once_is_let_pass_too(port: int, sink: Sink) -> None:
    with peer(port) as connection:
        sink.refusal = InstanceRejected(0xA700, "little free disk")
        connection.sendall(IMAGE)
        assert status_of(connection) == 0xA700
        sink.refusal = None
        connection.sendall(IMAGE)
        assert status_of(connection) == 0x0000


def test_a_sender_that_goes_in_the_middle_leaves_nothing(port: int, sink: Sink) -> None:
    with peer(port) as connection:
        connection.sendall(IMAGE[:-10_000])
        wait_for(lambda: sink.left == 1)
    wait_for(no_association_is_left)
    assert (sink.left, sink.received) == (0, [])


def test_an_abort_in_the_middle_leaves_nothing(port: int, sink: Sink) -> None:
    first = struct.unpack_from(">L", IMAGE, 2)[0] + 6
    second = struct.unpack_from(">L", IMAGE, first + 2)[0] + 6
    with peer(port) as connection:
        connection.sendall(IMAGE[: first + second] + bytes([wire.ABORTED, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
        assert wire.answer(connection)[0] == 0
    wait_for(no_association_is_left)
    assert (sink.left, sink.received) == (0, [])


@pytest.mark.parametrize("why", [(0, 5, 0), (0, 2, 3), (0, 2, 255)])
def test_an_abort_for_a_reason_that_there_is_not_is_an_abort(port: int, why: tuple[int, ...]) -> None:
    with peer(port) as connection:
        connection.sendall(bytes([wire.ABORTED, 0, 0, 0, 0, 4, 0, *why]))
        assert wire.answer(connection)[0] == 0
    wait_for(no_association_is_left)


def _patched(command_of: bytes, element: int, value: int) -> bytes:
    """Return an image's PDUs with a number of its command changed."""
    marked = struct.pack("<HHL", 0x0000, element, 2)
    at = command_of.index(marked) + len(marked)
    return command_of[:at] + struct.pack("<H", value) + command_of[at + 2 :]


def test_a_store_without_a_data_set_is_answered(port: int, sink: Sink) -> None:
    command = IMAGE[: struct.unpack_from(">L", IMAGE, 2)[0] + 6]
    with peer(port) as connection:
        connection.sendall(_patched(command, 0x0800, 0x0101))
        assert status_of(connection) == 0xC000
        connection.sendall(IMAGE)
        assert status_of(connection) == 0x0000


@pytest.mark.parametrize(
    "sent",
    [
        IMAGE.replace(b"\x01\x03", b"\x7f\x03", 1),  # under a presentation context that was not accepted
        _patched(IMAGE, 0x0100, 0x7777),  # a command that there is not
        IMAGE.replace(
            struct.pack("<HHLH", 0, 0x0110, 2, 1), struct.pack("<HHLH", 0, 0x0111, 2, 1), 1
        ),  # no id
        struct.pack(">BxLLBB", P_DATA_TF, 10, 6, 1, 0x02) + b"data",  # a data set without a command
        struct.pack(">BxLLBB", P_DATA_TF, 10, 60, 1, 0x03) + b"data",  # a fragment longer than its PDU
        struct.pack(">BxL", 0x09, 4) + bytes(4),  # a PDU of no known type
        association_request("ECHO_NODE"),  # in the middle of an association
    ],
)
def test_what_the_standard_does_not_allow_is_aborted(port: int, sink: Sink, sent: bytes) -> None:
    with peer(port) as connection:
        connection.sendall(sent)
        assert wire.answer(connection)[0] == wire.ABORTED
        assert wire.answer(connection)[0] == 0
    wait_for(no_association_is_left)
    assert (sink.left, sink.received) == (0, [])
    with peer(port) as connection:
        connection.sendall(IMAGE)
        assert status_of(connection) == 0x0000


@pytest.mark.parametrize("before", [b"", IMAGE[:10_000], IMAGE[:3]])
def test_who_is_silent_for_too_long_is_aborted(sink: Sink, before: bytes) -> None:
    with provider(sink, network_timeout_s=0.3) as running, capture_logs() as logs:
        with peer(running.port) as connection:  # type: ignore[attr-defined]
            connection.sendall(before)
            assert wire.answer(connection)[0] == wire.ABORTED
            assert wire.answer(connection)[0] == 0
        wait_for(no_association_is_left)
    assert [log["event"] for log in logs] == ["association_silent"]
    assert sink.left == 0


def test_stopping_aborts_what_is_open(sink: Sink) -> None:
    with provider(sink) as running, ExitStack() as stack:
        idle, sending = (stack.enter_context(peer(running.port)) for _ in range(2))  # type: ignore[attr-defined]
        sending.sendall(IMAGE[:20_000])
        wait_for(lambda: sink.left == 1)
        running.stop()
        assert wire.answer(idle)[0] == wire.ABORTED
        assert wire.answer(sending)[0] in {wire.ABORTED, 0}  # what it still sends may overtake the abort
        wait_for(no_association_is_left)
    assert (sink.left, sink.received) == (0, [])
