"""Association requests as devices send them: accepted, or rejected with a reason."""

import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_AC
from structlog.testing import capture_logs
from support import wire
from support.sinks import Sink
from support.wire import ABORTED, ACCEPTED, CR, CT, EXPLICIT, IMPLICIT, REJECTED, VERIFICATION, item

from echo_node.dicom.contexts import contexts
from echo_node.dicom.scp.association_answer import abort_reason, acceptance, negotiate
from echo_node.dicom.scp.association_request import read_association_request
from echo_node.dicom.scp.pdu_stream import InvalidPdu
from echo_node.dicom.scp.provider import StorageProvider
from echo_node.settings import IntakeSettings, NodeSettings, Peer

USER = wire.MAXIMUM_LENGTH + wire.IMPLEMENTATION


@contextmanager
def node(peers: dict[str, Peer] | None = None, **intake: object) -> Iterator[int]:
    running = StorageProvider(
        NodeSettings(bind_address="127.0.0.1", port=0),
        IntakeSettings.model_validate(intake),
        peers or {},
        Sink(),
    )
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with node() as bound:
        yield bound


@pytest.fixture
def finished() -> Callable[[], None]:
    """Wait until no association is left."""

    def wait() -> None:
        deadline = time.monotonic() + 10
        while any(isinstance(thread, Association) for thread in threading.enumerate()):
            assert time.monotonic() < deadline, "an association is left after 10 s"
            time.sleep(0.01)

    return wait


def identity(kind: int, positive: int = 1) -> bytes:
    """Return a user identity sub-item (PS3.7 D.3.3.7)."""
    return item(0x58, bytes([kind, positive]) + struct.pack(">H", 4) + b"user" + struct.pack(">H", 0))


def role(uid: str, scu: int, scp: int) -> bytes:
    """Return a role selection sub-item (PS3.7 D.3.3.4)."""
    return item(0x54, struct.pack(">H", len(uid)) + uid.encode() + bytes([scu, scp]))


@pytest.mark.parametrize(
    "request_pdu",
    [
        pytest.param(wire.request(called=b"ECHO_NODE".ljust(16, b"\0")), id="called with NULs"),
        pytest.param(wire.request(calling=b"ROOM_1".ljust(16, b"\0")), id="calling with NULs"),
        pytest.param(wire.request(called=b"ECHO_NODE\0  \0 "), id="mixed padding"),
        pytest.param(wire.request(called=b"  ECHO_NODE"), id="leading spaces"),
        pytest.param(wire.request(called=b"ECHO_NODE\0rest!"), id="rest of a buffer after the NUL"),
        pytest.param(wire.request(user=USER + item(0xEE, b"what")), id="unknown sub-item"),
        pytest.param(wire.request(user=item(0x5A, b"") + USER), id="empty unknown sub-item"),
        pytest.param(wire.request(more=item(0x77, b"new")), id="unknown item"),
        pytest.param(wire.request(contexts=item(0x11, b"") + wire.CONTEXTS), id="unknown item before"),
        pytest.param(wire.request(user=USER + item(0x55, b"SOME_MODALITY_LONG20")), id="long version name"),
        pytest.param(wire.request(user=USER + item(0x55, b"")), id="empty version name"),
        pytest.param(wire.request(user=USER + item(0x55, "Röntgen 7".encode())), id="version name in UTF-8"),
        pytest.param(wire.request(user=wire.MAXIMUM_LENGTH), id="no implementation class"),
        pytest.param(
            wire.request(user=wire.MAXIMUM_LENGTH + item(0x52, b"1.02.x")), id="odd implementation class"
        ),
        pytest.param(
            wire.request(user=wire.MAXIMUM_LENGTH + item(0x52, b"9" * 99)), id="long implementation class"
        ),
        pytest.param(wire.request(user=wire.IMPLEMENTATION), id="no maximum length"),
        pytest.param(wire.request(user=item(0x51, b"\0\0") + wire.IMPLEMENTATION), id="short maximum length"),
        pytest.param(wire.request(user=item(0x51, bytes(4)) + wire.IMPLEMENTATION), id="unlimited length"),
        pytest.param(wire.request(user=b""), id="empty user information"),
        pytest.param(wire.request(user=USER * 2), id="sub-items twice"),
        *(pytest.param(wire.request(user=USER + identity(kind)), id=f"identity {kind}") for kind in range(9)),
        pytest.param(wire.request(user=USER + item(0x58, b"\x01")), id="broken identity"),
        pytest.param(wire.request(user=USER + item(0x53, struct.pack(">HH", 0, 0))), id="async operations"),
        pytest.param(wire.request(user=USER + item(0x53, b"")), id="broken async operations"),
        pytest.param(
            wire.request(user=USER + item(0x56, struct.pack(">H", len(CR)) + CR.encode() + b"\1\1\0\1\0\1")),
            id="extended negotiation",
        ),
        pytest.param(wire.request(user=USER + item(0x56, b"\xff\xff")), id="broken extended negotiation"),
        pytest.param(wire.request(user=USER + item(0x57, b"\0\x04ab")), id="common extended negotiation"),
        pytest.param(wire.request(user=USER + role(CT, 1, 1)), id="role of a class that is not proposed"),
        pytest.param(wire.request(user=USER + role(CR, 0, 1)), id="role of an SCP"),
        pytest.param(wire.request(user=USER + role("x" * 80, 2, 7)), id="role of no class"),
        pytest.param(wire.request(user=USER + item(0x54, b"\0\x09a")), id="broken role"),
        pytest.param(wire.request(version=3), id="protocol versions 1 and 2"),
        pytest.param(
            wire.request(application=item(0x10, wire.APPLICATION.encode() + b"\0")), id="padded application"
        ),
        pytest.param(wire.request(more=b"\0\0\0"), id="padded PDU"),
        pytest.param(wire.request(more=bytes(64)), id="padded PDU with empty items"),
        pytest.param(wire.request(contexts=wire.CONTEXTS + wire.CONTEXTS), id="every context twice"),
        pytest.param(
            wire.request(contexts=wire.CONTEXTS + wire.context(5, "1.2.3." + "9" * 90, IMPLICIT)),
            id="long SOP class",
        ),
    ],
)
def test_what_a_peer_need_not_send_does_not_matter(port: int, request_pdu: bytes) -> None:
    """An echo and a release follow: the association works."""
    with wire.connection(port, request_pdu) as opened:
        kind, content = wire.answer(opened)
        assert kind == ACCEPTED
        assert wire.results(content)[1] == wire.results(content)[3] == 0
        assert content[4:36] == request_pdu[10:42], "the titles are repeated as they were sent"
        A_ASSOCIATE_AC().decode(struct.pack(">BxL", ACCEPTED, len(content)) + content)
        opened.sendall(wire.message(1, wire.echo_rq()))
        assert wire.status(opened) == (0x0000, "")


@pytest.mark.parametrize(
    ("proposed", "result", "reason"),
    [
        (wire.context(5, CT, EXPLICIT), 3, "the node does not support this SOP class"),
        (wire.context(5, "", EXPLICIT), 3, "the node does not support this SOP class"),
        (wire.context(5, CR, wire.DEFLATED), 4, "the node supports none of its transfer syntaxes"),
        (wire.context(5, CR), 4, "the node supports none of its transfer syntaxes"),
        (wire.context(5, CR, "1.2.3." + "0" * 70), 4, "the node supports none of its transfer syntaxes"),
        (wire.context(6, CR, EXPLICIT), 2, "its presentation context id is not odd"),
        (wire.context(0, CR, EXPLICIT), 2, "its presentation context id is not odd"),
        (
            wire.context(5, CR, EXPLICIT) + wire.context(5, VERIFICATION, EXPLICIT),
            2,
            "its presentation context id is used twice",
        ),
    ],
)
def test_a_context_is_refused_by_itself(port: int, proposed: bytes, result: int, reason: str) -> None:
    number = proposed[4]
    with capture_logs() as logs:
        kind, content = wire.asked(port, wire.request(contexts=wire.CONTEXTS + proposed, calling=_next()))
    assert kind == ACCEPTED
    assert wire.results(content) == {1: 0, 3: 0, number: result}
    (refused,) = [log for log in logs if log["event"] == "context_refused"]
    assert refused["reason"] == reason
    assert (refused["address"], refused["called"]) == ("127.0.0.1", "ECHO_NODE")
    assert refused["peer"].startswith("ROOM_")


_titles = iter(range(10_000))


def _next() -> bytes:
    """Return a calling AE title of its own, so that the log is not limited."""
    return f"ROOM_{next(_titles)}".encode()


def test_the_log_names_the_refused_classes_and_syntaxes(port: int) -> None:
    proposed = (
        wire.context(1, CT, IMPLICIT)
        + wire.context(3, "1.2.3.4", wire.DEFLATED)
        + wire.context(5, b"Doe^Jane", IMPLICIT)
    )
    with capture_logs() as logs:
        kind, content = wire.asked(port, wire.request(contexts=proposed, calling=_next()))
    assert (kind, wire.results(content)) == (ACCEPTED, {1: 3, 3: 3, 5: 3})
    (refused,) = [log for log in logs if log["event"] == "context_refused"]
    assert refused["sop_class"] == [CT, "1.2.3.4", "not a UID"]
    assert refused["transfer_syntax"] == [IMPLICIT, wire.DEFLATED]


@pytest.mark.parametrize(
    ("request_pdu", "triple", "reason"),
    [
        (wire.request(version=2), (1, 2, 2), "the peer does not support protocol version 1"),
        (wire.request(version=0), (1, 2, 2), "the peer does not support protocol version 1"),
        (
            wire.request(application=item(0x10, b"1.2.840.10008.3.1.1.2")),
            (1, 1, 2),
            "the application context name is not that of DICOM",
        ),
        (wire.request(application=b""), (1, 1, 2), "the application context name is not that of DICOM"),
        (wire.request(called=b"OTHER"), (1, 1, 7), "the called AE title is not ECHO_NODE"),
        (wire.request(called=b""), (1, 1, 7), "the called AE title is not ECHO_NODE"),
        (
            wire.request(called=b"echo_node"),
            (1, 1, 7),
            "the called AE title is not ECHO_NODE: it differs in upper and lower case",
        ),
        (
            wire.request(calling=b""),
            (1, 1, 3),
            "the calling AE title is blank (intake.accept_blank_calling_ae_title)",
        ),
        (
            wire.request(calling=bytes(16)),
            (1, 1, 3),
            "the calling AE title is blank (intake.accept_blank_calling_ae_title)",
        ),
        (
            wire.request(calling=b"A\x1b[31mB"),
            (1, 1, 3),
            "the calling AE title contains characters that no AE title has",
        ),
        (
            wire.request(called="RÖNTGEN".encode("latin-1")),
            (1, 1, 7),
            "the called AE title contains characters that no AE title has",
        ),
    ],
)
def test_a_rejection_has_its_number_and_its_reason(
    request_pdu: bytes, triple: tuple[int, int, int], reason: str
) -> None:
    with node() as port, capture_logs() as logs:
        kind, content = wire.asked(port, request_pdu)
    assert (kind, tuple(content[1:4])) == (REJECTED, triple)
    (rejected,) = [log for log in logs if log["event"] == "association_rejected"]
    assert rejected["reason"] == reason
    assert rejected["address"] == "127.0.0.1"
    assert {"peer", "called"} <= rejected.keys()
    assert "\x1b" not in str(rejected.values())


def test_each_kind_of_refusal_has_a_text_of_its_own() -> None:
    peers = {"elsewhere": Peer(ae_title="ROOM_9", host="192.0.2.9")}
    allowed = ["ROOM_1", "ROOM_9"]
    with (
        node(peers, allowed_calling_ae_titles=allowed, maximum_associations=1) as port,
        capture_logs() as logs,
        wire.connection(port, wire.request()) as first,
    ):
        assert wire.answer(first)[0] == ACCEPTED
        asked = [
            wire.request(called=b"WRONG"),
            wire.request(calling=b"STRANGER"),
            wire.request(calling=b"room_1"),
            wire.request(calling=b"ROOM_9"),
            wire.request(),
        ]
        answers = [wire.asked(port, each) for each in asked]
    assert [(kind, *content[1:4]) for kind, content in answers] == [
        (REJECTED, 1, 1, 7),
        (REJECTED, 1, 1, 3),
        (REJECTED, 1, 1, 3),
        (REJECTED, 1, 1, 3),
        (REJECTED, 2, 3, 2),
    ]
    rejected = [log for log in logs if log["event"] == "association_rejected"]
    assert [each["reason"] for each in rejected] == [
        "the called AE title is not ECHO_NODE",
        "the calling AE title is not in intake.allowed_calling_ae_titles",
        "the calling AE title is not in intake.allowed_calling_ae_titles: it differs in upper and lower case",
        "the peer with this calling AE title has another address",
        "as many associations are open as intake.maximum_associations allows",
    ]
    assert [each["peer"] for each in rejected] == ["ROOM_1", "STRANGER", "room_1", "ROOM_9", "ROOM_1"]
    assert rejected[0]["called"] == "WRONG"


def test_a_place_is_free_again_when_an_association_ends() -> None:
    with node(maximum_associations=1) as port:
        for _ in range(3):
            deadline = time.monotonic() + 10
            while wire.asked(port, wire.request())[0] != ACCEPTED:
                assert time.monotonic() < deadline


def test_a_blank_calling_title_is_accepted_if_so_configured() -> None:
    with (
        node(accept_blank_calling_ae_title=True) as port,
        wire.connection(port, wire.request(calling=b"")) as opened,
    ):
        assert wire.answer(opened)[0] == ACCEPTED
        opened.sendall(wire.message(1, wire.echo_rq()))
        assert wire.status(opened) == (0x0000, "")
    with node(accept_blank_calling_ae_title=True, allowed_calling_ae_titles=["ROOM_1"]) as port:
        assert wire.asked(port, wire.request(calling=b""))[0] == REJECTED


@pytest.mark.parametrize("size", [60_000, 166_000, 250_000])
def test_a_long_request_is_answered(port: int, size: int) -> None:
    long = wire.context(7, CR, IMPLICIT, *(f"1.2.3.{number}" for number in range(4000)))
    request_pdu = wire.request(contexts=wire.CONTEXTS + long, more=_filling(size - len(long)))
    assert abs(len(request_pdu) - size) < 1000
    kind, content = wire.asked(port, request_pdu)
    assert (kind, wire.results(content)) == (ACCEPTED, {1: 0, 3: 0, 7: 0})


def _filling(size: int) -> bytes:
    """Return unknown items of a size."""
    whole, rest = divmod(max(size, 0), 50_000)
    return b"".join(item(0x70, bytes(each)) for each in (*[50_000] * whole, rest))


def test_128_contexts_are_answered(port: int) -> None:
    proposed = b"".join(wire.context(number, CR, EXPLICIT) for number in range(1, 256, 2))
    kind, content = wire.asked(port, wire.request(contexts=proposed))
    assert (kind, wire.results(content)) == (ACCEPTED, dict.fromkeys(range(1, 256, 2), 0))


@pytest.mark.parametrize(
    "broken",
    [
        struct.pack(">BxL", 1, 10) + bytes(10),
        wire.request(more=b"\x77\0\xff\xff"),
        wire.request(contexts=item(0x20, b"\x01")),
        wire.request(contexts=item(0x20, bytes([1, 0, 0, 0]) + b"\x30\0\xff\xff")),
        wire.request(user=USER + b"\x55\0\0\x20short"),
    ],
)
def test_a_request_whose_lengths_contradict_each_other_is_aborted(broken: bytes) -> None:
    with node() as port, capture_logs() as logs:
        kind, content = wire.asked(port, broken)
    assert (kind, content) == (ABORTED, bytes([0, 0, 2, 6]))
    (aborted,) = [log for log in logs if log["event"] == "association_broken"]
    assert aborted["address"] == "127.0.0.1"
    assert aborted["reason"].startswith("aborted by the node: ")


@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_no_request_raises_anything_else(junk: bytes, at: int, removed: int) -> None:
    whole = wire.request()
    for content in (junk, whole[:at] + junk + whole[at + removed :]):
        try:
            request = read_association_request(content)
        except InvalidPdu:
            continue
        negotiated = negotiate(request, contexts().supported())
        answered = acceptance(request, negotiated, 16384)
        assert set(wire.results(answered[6:])) == {each.context_id for each in request.contexts}


@pytest.mark.parametrize(
    ("source", "reason", "text"),
    [
        (0, 0, "aborted by the peer"),
        (2, 6, "aborted by the peer's service provider: invalid PDU parameter value"),
        (2, 99, "aborted by the peer's service provider: unknown reason"),
    ],
)
def test_an_abort_of_the_peer_is_logged_with_its_message(
    source: int, reason: int, text: str, finished: Callable[[], None]
) -> None:
    pdu = bytes([7, 0, 0, 0, 0, 4, 0, 0, source, reason])
    assert abort_reason(pdu) == text
    with node() as port, capture_logs() as logs:
        with wire.connection(port, wire.request()) as opened:
            wire.answer(opened)
            opened.sendall(wire.message(1, wire.echo_rq()))
            wire.status(opened)
            opened.sendall(pdu)
            assert wire.answer(opened)[0] == 0
        finished()
    (aborted,) = [log for log in logs if log["event"].startswith("association_")]
    assert aborted["event"] == "association_aborted"
    assert aborted["reason"] == text
    assert (aborted["peer"], aborted["called"], aborted["address"]) == ("ROOM_1", "ECHO_NODE", "127.0.0.1")
    assert (aborted["sop_class"], aborted["transfer_syntax"]) == (VERIFICATION, IMPLICIT)


def test_a_connection_that_just_ends_is_logged(finished: Callable[[], None]) -> None:
    with node() as port, capture_logs() as logs:
        with wire.connection(port, wire.request()) as opened:
            wire.answer(opened)
        finished()
    assert [log["event"] for log in logs] == ["association_lost"]


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "the peer sent an HTTP request"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "the peer offers TLS, which this port does not speak"),
        (struct.pack(">BxL", 1, 2**20), "the A-ASSOCIATE-RQ is longer than 262144 bytes"),
        (struct.pack(">BxL", 4, 20), "the first bytes are not those of an A-ASSOCIATE-RQ"),
    ],
)
def test_what_is_not_dicom_is_logged_with_its_address(first: bytes, reason: str) -> None:
    with node() as port, capture_logs() as logs, wire.connection(port, first) as opened:
        assert wire.answer(opened)[0] in {0, ABORTED}
    (closed,) = [log for log in logs if log["event"] == "connection_is_not_dicom"]
    assert (closed["address"], closed["reason"]) == ("127.0.0.1", reason)


def test_a_defect_of_the_node_ends_one_association_and_no_text_of_it_is_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Doe^Jane")

    with node(maximum_associations=1) as port, capture_logs() as logs:
        with monkeypatch.context() as patch:
            patch.setattr("echo_node.dicom.scp.acceptor.negotiate", fail)
            assert wire.asked(port, wire.request()) == (0, b"")
        assert wire.asked(port, wire.request())[0] == ACCEPTED
    assert [log["event"] for log in logs] == ["association_failed"]
    assert "Doe" not in "".join(capfd.readouterr())


def test_equal_rejections_are_counted() -> None:
    with capture_logs() as logs, node() as port:
        for _ in range(5):
            wire.asked(port, wire.request(called=b"WRONG"))
    rejected = [log for log in logs if log["event"] == "association_rejected"]
    assert [each["count"] for each in rejected] == [1, 4]
