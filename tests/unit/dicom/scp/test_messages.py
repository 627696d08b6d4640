"""PDUs, fragments and messages, cut and joined in every way that the network and a peer may."""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_node.dicom.scp.command import Command
from echo_node.dicom.scp.messages import Messages
from echo_node.dicom.scp.pdu_stream import COMMAND, LAST, P_DATA_TF, InvalidPdu, PduStream

Fragment = tuple[int, int, bytes]


def p_data(fragments: Sequence[Fragment]) -> bytes:
    """Return a P-DATA-TF PDU (PS3.8 9.3.5)."""
    values = b"".join(
        struct.pack(">LBB", len(content) + 2, context_id, control) + content
        for context_id, control, content in fragments
    )
    return struct.pack(">BxL", P_DATA_TF, len(values)) + values


@contextmanager
def stream_of(content: bytes, step: int = 0, longest: int = 2**20) -> Iterator[PduStream]:
    """Send bytes, *step* at a time, and close the connection."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        with theirs:
            for start in range(0, len(content), step or len(content) or 1):
                theirs.sendall(content[start : start + (step or len(content))])

    sending = threading.Thread(target=send)
    sending.start()
    with ours:
        ours.settimeout(10)
        yield PduStream(ours, longest)
        while ours.recv(65_536):  # what a test leaves would hold the sender
            pass
    sending.join(10)


def read_fragments(stream: PduStream, pdus: int) -> list[Fragment]:
    whole: list[Fragment] = []
    content = b""
    for _ in range(pdus):
        kind, length = stream.next()
        assert kind == P_DATA_TF
        begun = False
        for context_id, control, piece in stream.fragments(length):
            content = content + bytes(piece) if begun else bytes(piece)
            if begun:
                whole.pop()
            whole.append((context_id, control, content))
            begun = not control & LAST
    return whole


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.binary(max_size=3000), min_size=1, max_size=3), min_size=1, max_size=4),
    st.integers(1, 700),
)
def test_fragments_are_the_same_however_the_network_cuts_them(pdus: list[list[bytes]], step: int) -> None:
    sent = [[(1, LAST, content) for content in pdu] for pdu in pdus]
    with stream_of(b"".join(map(p_data, sent)), step) as stream:
        assert read_fragments(stream, len(sent)) == [fragment for pdu in sent for fragment in pdu]


def test_only_the_last_piece_of_a_last_fragment_says_so() -> None:
    content = bytes(600_000)  # longer than what is read at once
    with stream_of(p_data([(3, LAST, content)])) as stream:
        _, length = stream.next()
        controls = [control for _, control, _ in stream.fragments(length)]
    assert len(controls) > 1
    assert [control & LAST for control in controls] == [0] * (len(controls) - 1) + [LAST]


@pytest.mark.parametrize(
    "values",
    [b"\0\0\0", struct.pack(">LBB", 1, 1, 3), struct.pack(">LBB", 100, 1, 3) + b"x", struct.pack(">L", 0)],
)
def test_fragments_that_do_not_fit_their_pdu_are_invalid(values: bytes) -> None:
    with stream_of(struct.pack(">BxL", P_DATA_TF, len(values)) + values) as stream:
        _, length = stream.next()
        with pytest.raises(InvalidPdu):
            list(stream.fragments(length))


def test_a_pdu_that_is_too_long_is_invalid_and_the_end_is_an_error() -> None:
    with stream_of(struct.pack(">BxL", P_DATA_TF, 101), longest=100) as stream, pytest.raises(InvalidPdu):
        stream.next()
    for cut in (b"", b"\x04\0\0", p_data([(1, LAST, b"content")])[:-1]):
        with stream_of(cut) as stream, pytest.raises(ConnectionError):
            read_fragments(stream, 1)


class Written:
    """A message that says what it was given."""

    def __init__(self) -> None:
        self.content = b""
        self.pieces = 0
        self.is_finished = self.is_abandoned = False

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        self.content += bytes(piece)
        self.pieces += 1

    def finish(self) -> None:
        self.is_finished = True

    def abandon(self) -> None:
        self.is_abandoned = True


class Reading:
    """Messages, and those that were begun."""

    def __init__(self) -> None:
        self.begun: list[Written] = []
        self.messages = Messages(self._begin)

    def _begin(self, context_id: int, command: Command, encoded: bytes) -> Written:
        assert context_id == 1
        assert len(encoded) == 28
        self.begun.append(Written())
        return self.begun[-1]

    def take(self, control: int, content: bytes, context_id: int = 1) -> None:
        self.messages.take(context_id, control, memoryview(content))


def command(*, with_data: bool) -> bytes:
    def number(element: int, value: int) -> bytes:
        return struct.pack("<HHLH", 0, element, 2, value)

    return number(0x0100, 1) + number(0x0800, 0 if with_data else 0x0101) + struct.pack("<HHL", 0, 0x1000, 0)


def test_a_message_is_finished_when_its_data_set_is_here() -> None:
    reading, content = Reading(), bytes(range(256)) * 5000  # 1.28 MB
    for first in range(0, 28, 10):
        reading.take(COMMAND | (LAST if first == 20 else 0), command(with_data=True)[first : first + 10])
    (message,) = reading.begun
    for start in range(0, len(content), 100_000):
        assert not message.is_finished
        reading.take(LAST if start == 1_200_000 else 0, content[start : start + 100_000])
    assert message.is_finished
    assert message.content == content
    assert message.pieces < 5  # gathered, not handed on in every piece that comes


def test_a_message_without_a_data_set_is_finished_at_once_and_the_next_follows() -> None:
    reading = Reading()
    for _ in range(3):
        reading.take(COMMAND | LAST, command(with_data=False))
    assert [message.is_finished for message in reading.begun] == [True] * 3


def test_what_does_not_belong_together_is_invalid() -> None:
    def refused(*steps: tuple[int, bytes, int]) -> None:
        reading = Reading()
        for step in steps[:-1]:
            reading.take(*step)
        with pytest.raises(InvalidPdu):
            reading.take(*steps[-1])

    whole = (COMMAND | LAST, command(with_data=True), 1)
    refused((LAST, b"data", 1))  # without a command
    refused(whole, (COMMAND, b"xx", 1))  # a command in a data set
    refused(whole, (LAST, b"data", 3))  # of another presentation context
    refused((COMMAND, b"xx", 1), (LAST, b"data", 1))  # a data set in a command
    refused((COMMAND | LAST, b"no command set", 1))
    refused((COMMAND, bytes(70_000), 1))


def test_what_has_not_come_as_a_whole_is_abandoned_once() -> None:
    reading = Reading()
    reading.take(COMMAND | LAST, command(with_data=True))
    reading.take(0, b"half")
    reading.messages.abandon()
    (message,) = reading.begun
    assert (message.is_abandoned, message.is_finished) == (True, False)
    reading.messages.abandon()
