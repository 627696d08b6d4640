"""Data sets that cannot be understood, and unusual messages: each gets a status that says so.

They pass through the real intake, with files on a disk and a database.
"""

import io
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from structlog.testing import capture_logs
from support import wire
from support.stored_node import stored_node
from support.wire import ABORTED, ACCEPTED, CR, EXPLICIT, IMPLICIT

from echo_node.dicom.scp.provider import StorageProvider
from echo_node.pipeline.receive import Intake
from echo_node.settings import IntakeSettings, NodeSettings, Peer

MakeChest = Callable[..., Dataset]
UID = "1.2.3.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with stored_node(folder) as node:
        provider = StorageProvider(
            NodeSettings(bind_address="127.0.0.1", port=0),
            IntakeSettings(minimum_free_bytes=0, accept_blank_calling_ae_title=True),
            {"strict": Peer(ae_title="STRICT", uid_check="strict")},
            Intake(node.storage.spool, node.storage.studies),
        )
        try:
            yield provider.start()
        finally:
            provider.stop()


@contextmanager
def sender(port: int, calling: bytes = b"ROOM_1") -> Iterator[Callable[..., tuple[int, str]]]:
    """Open an association; yield a function that sends a data set and returns the answer."""
    with wire.connection(port, wire.request(calling=calling)) as opened:
        assert wire.answer(opened)[0] == ACCEPTED

        def send(data_set: bytes, command_uid: str = UID) -> tuple[int, str]:
            opened.sendall(wire.message(3, wire.store_rq(command_uid), data_set))
            return wire.status(opened)

        yield send


def encoded(image: Dataset, *, implicit: bool = False) -> bytes:
    stream = io.BytesIO()
    del image.file_meta
    image.save_as(stream, implicit_vr=implicit, little_endian=True)
    return stream.getvalue()


UNCLOSED = struct.pack("<HH2sxxL", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF) + struct.pack("<HHL", 0xFFFE, 0xE000, 8)


def _spoilt(whole: bytes) -> dict[str, bytes]:
    at = whole.index(struct.pack("<HH", 0x0028, 0x0010))
    pixels = whole.index(struct.pack("<HH", 0x7FE0, 0x0010))
    return {
        "nothing": b"",
        "one byte": b"\x08",
        "half a tag": whole[:3],
        "text": b"this is not a data set, but a letter to the editor" * 3,
        "zeros": bytes(2000),
        "ones": b"\xff" * 2000,
        "cut in an element's header": whole[: at + 5],
        "cut in a value": whole[: at + 9],
        "cut in the pixels": whole[:-20],
        "no pixels but their header": whole[: pixels + 12],
        "an unclosed sequence": whole[:at] + UNCLOSED + b"\x08\x00\x16\x00",
        "a sequence longer than the rest": whole[:at]
        + struct.pack("<HH2sxxL", 0x0020, 0x1115, b"SQ", 10**6)
        + whole[at:],
        "an unknown value representation": whole[:at]
        + struct.pack("<HH2sH", 0x0020, 0x1115, b"??", 60000)
        + whole[at:],
        "sequences in sequences": whole[:at]
        + (UNCLOSED.replace(b"\x08\x00\x00\x00", b"\xff\xff\xff\xff")) * 3000
        + whole[at:],
        "file meta information": b"\0" * 128 + b"DICM" + whole,
        "a command set": struct.pack("<HHLL", 0, 0, 4, 0) + whole,
        "deflated": zlib.compress(whole)[2:-4],
    }


@pytest.mark.parametrize("kind", _spoilt(bytes.fromhex("28001000") + bytes.fromhex("e07f1000") + bytes(60)))
def test_what_cannot_be_parsed_is_answered_0xc000(
    port: int, folder: Path, make_chest: MakeChest, kind: str
) -> None:
    sent = _spoilt(encoded(make_chest()))[kind]
    before = _files(folder)
    with sender(port, kind.encode()[:16].replace(b" ", b"_")) as send, capture_logs() as logs:
        code, comment = send(sent)
        assert (hex(code), bool(comment)) == ("0xc000", True), comment
        refusals = [log for log in logs if log["event"] in {"instance_refused", "store_failed"}]
        assert [each["event"] for each in refusals] == ["instance_refused"]
        assert refusals[0]["reason"][:64].strip() == comment
        assert (refusals[0]["address"], refusals[0]["sop_class"]) == ("127.0.0.1", CR)
        assert "Jane" not in str(refusals)
    assert _files(folder) == before, "a file of a refused instance is left"


def _files(folder: Path) -> set[Path]:
    return {each for each in folder.rglob("*") if each.is_file() and "sqlite" not in each.name}


@pytest.mark.parametrize(
    "keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_uid_is_named(port: int, make_chest: MakeChest, keyword: str, value: str | None) -> None:
    with sender(port) as send:
        assert send(encoded(make_chest(**{keyword: value}))) == (0xC000, f"{keyword} is absent")


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.113619.2.5.0017",
        "1.2.826.0.1.3680043.10.363.5421649119139350670558684743636101576.101",
        "1.2.3." + "4" * 121 + "5",
        "1.2.3.4.",
    ],
)
def test_unusual_uids_of_the_command_and_the_data_set_agree(
    port: int, folder: Path, make_chest: MakeChest, uid: str, implicit: bool
) -> None:
    study = f"{uid[:120]}.0{int(implicit)}"
    image = make_chest(SOPInstanceUID=uid, StudyInstanceUID=study, SeriesInstanceUID=study + "1")
    data_set = encoded(image, implicit=implicit)
    with wire.connection(
        port, wire.request(contexts=wire.context(3, CR, IMPLICIT if implicit else EXPLICIT))
    ) as opened:
        assert wire.answer(opened)[0] == ACCEPTED
        opened.sendall(wire.message(3, wire.store_rq(uid), data_set))
        assert wire.status(opened) == (0x0000, "")
        opened.sendall(wire.message(3, wire.store_rq(uid + "9"), data_set))
        code, _ = wire.status(opened)
        assert code in {0xA900, 0xC000}
    stored = [dcmread(each, stop_before_pixels=True) for each in _files(folder) if each.suffix == ".dcm"]
    assert uid in {each.SOPInstanceUID for each in stored}
    assert uid in {each.file_meta.MediaStorageSOPInstanceUID for each in stored}
    with sender(port, b"STRICT") as send:
        code, comment = send(data_set, uid)
        assert code == 0xC000
        assert comment.startswith("Affected SOP Instance UID ")


def test_an_image_of_a_blank_sender_is_stored(port: int, make_chest: MakeChest) -> None:
    uids = {"StudyInstanceUID": "1.2.9", "SeriesInstanceUID": "1.2.9.1", "SOPInstanceUID": "1.2.9.1.1"}
    with sender(port, b"") as send:
        assert send(encoded(make_chest(**uids)), "1.2.9.1.1") == (0x0000, "")


@pytest.mark.parametrize("sop_class", [b"1.2.840.10008.1.1\0", b"1.2.840.10008.1.1 ", b"1.2.840.10008.1.1"])
def test_an_echo_is_answered_however_its_uid_is_padded(port: int, sop_class: bytes) -> None:
    with wire.connection(port, wire.request()) as opened:
        assert wire.answer(opened)[0] == ACCEPTED
        for _ in range(2):
            opened.sendall(wire.message(1, wire.echo_rq(sop_class)))
            assert wire.status(opened) == (0x0000, "")


@pytest.mark.parametrize("longest", [1, 2, 8, 20])
def test_an_echo_reaches_a_peer_that_takes_short_pdus_only(port: int, longest: int) -> None:
    user = wire.item(0x51, struct.pack(">L", longest)) + wire.IMPLEMENTATION
    with wire.connection(port, wire.request(user=user)) as opened:
        assert wire.answer(opened)[0] == ACCEPTED
        opened.sendall(wire.message(1, wire.echo_rq()))
        answered = b""
        while b"\x00\x00\x00\x09" not in answered:
            kind, content = wire.answer(opened)
            assert kind == wire.DATA
            answered += content[6:]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (wire.message(9, wire.echo_rq()), "presentation context that was not accepted"),
        (wire.message(1, b"\x00\x00\x00"), "the command set ends in the middle of an element"),
        (wire.message(1, wire.command(wire.element(0x0100, b"\x77\x77"))), "no usable element"),
        (wire.request(), "a PDU of type 1 came"),
        (bytes([6, 0, 0, 0, 0, 4, 0, 0, 0, 0]), "a PDU of type 6 came"),
        (bytes([0x44, 0, 0, 0, 0, 4, 0, 0, 0, 0]), "a PDU of type 68 came"),
        (struct.pack(">BxL", 4, 2**30), "a PDU is longer than was negotiated"),
    ],
)
def test_an_abort_by_the_node_has_its_reason_in_the_log(port: int, sent: bytes, reason: str) -> None:
    calling = re.sub(r"\W+", "_", reason)[:16].encode()
    with capture_logs() as logs, wire.connection(port, wire.request(calling=calling)) as opened:
        assert wire.answer(opened)[0] == ACCEPTED
        opened.sendall(sent)
        assert wire.answer(opened)[0] == ABORTED
    (aborted,) = [log for log in logs if log["event"] == "association_broken"]
    assert aborted["reason"].startswith("aborted by the node: ")
    assert reason in aborted["reason"]
    assert (aborted["peer"], aborted["called"], aborted["address"]) == (
        calling.decode(),
        "ECHO_NODE",
        "127.0.0.1",
    )


def test_a_parser_that_gives_up_is_no_fault_of_ours(
    port: int, make_chest: MakeChest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the library raises about data of a peer, the answer is 0xC000."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("Doe^Jane")

    monkeypatch.setattr(sys.modules["echo_node.dicom.data_set_check"], "read_dataset", fail)
    with sender(port, b"ASSERTING") as send, capture_logs() as logs:
        assert send(encoded(make_chest())) == (0xC000, "the data set cannot be parsed (AssertionError)")
    assert "Doe" not in str(logs)
