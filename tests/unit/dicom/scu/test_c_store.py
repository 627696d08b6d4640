from __future__ import annotations

import gc
import io
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless
from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.presentation import build_context

from echo_node.dicom.header import split
from echo_node.dicom.library_settings import configure_libraries
from echo_node.dicom.scu.associate import associated
from echo_node.dicom.scu.c_store import FileResult, Sender, send_files
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.study import StoredInstance
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import Peer

CR = "1.2.840.10008.5.1.4.1.1.1"
BASIC_TEXT = "1.2.840.10008.5.1.4.1.1.88.11"
VERIFICATION = "1.2.840.10008.1.1"

Store = Callable[..., StoredInstance]
MakeChest = Callable[..., Dataset]


class Archive:
    """A PACS of pynetdicom's that answers what the test says."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.syntaxes: list[str] = []
        self.status = 0x0000
        self.associations = 0
        self.abort_at: int | None = None

    def on_store(self, event: Event) -> int:
        if self.abort_at == len(self.received):
            self.abort_at = None
            event.assoc.abort()
            return 0x0000
        self.received.append(event.encoded_dataset(include_meta=False))
        self.syntaxes.append(str(event.context.transfer_syntax))
        return self.status

    def on_accepted(self, _event: Event) -> None:
        self.associations += 1

    @contextmanager
    def running(
        self,
        *,
        syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        called: str = "",
    ) -> Iterator[Peer]:
        entity = AE("PACS")
        entity.require_called_aet = True
        for sop_class in (CR, BASIC_TEXT):
            entity.add_supported_context(sop_class, list(syntaxes))
        entity.add_supported_context(VERIFICATION)
        server = entity.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, self.on_store), (evt.EVT_ACCEPTED, self.on_accepted)],
        )
        assert server is not None
        try:
            yield Peer(ae_title=called or "PACS", host="127.0.0.1", port=server.server_address[1])
        finally:
            entity.shutdown()


def sender(peer: Peer, timeout_s: float = 5.0) -> Sender:
    return Sender("ECHO_NODE", {"pacs": peer}, timeout_s)


@pytest.fixture
def archive() -> Archive:
    return Archive()


@pytest.fixture
def document(make_chest: MakeChest) -> EncodedDocument:
    draft = make_chest(SOPClassUID=BASIC_TEXT)
    stream = io.BytesIO()
    draft.save_as(stream, enforce_file_format=True)
    return EncodedDocument(
        "basic-text-sr", "1.2.3", "1.2.3.1", BASIC_TEXT, ExplicitVRLittleEndian, stream.getvalue()
    )


def test_the_stored_bytes_are_sent(archive: Archive, document: EncodedDocument) -> None:
    with archive.running() as peer:
        assert sender(peer).send(document, "pacs") == (DeliveryOutcome.SUCCESS, 0x0000)
        assert sender(peer).send(document, "pacs") == (DeliveryOutcome.SUCCESS, 0x0000)
    assert archive.received == [split(document.content)[1]] * 2
    assert archive.syntaxes == [ExplicitVRLittleEndian] * 2


def test_a_peer_that_takes_only_the_default_syntax_gets_it(
    archive: Archive, document: EncodedDocument
) -> None:
    with archive.running(syntaxes=(ImplicitVRLittleEndian,)) as peer:
        assert sender(peer).send(document, "pacs") == (DeliveryOutcome.SUCCESS, 0x0000)
    assert archive.syntaxes == [ImplicitVRLittleEndian]
    sent = dcmread(io.BytesIO(archive.received[0]), force=True)
    original = dcmread(io.BytesIO(document.content))
    assert sent.PatientName == original.PatientName
    assert sent.SOPInstanceUID == original.SOPInstanceUID


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_means_stored(archive: Archive, document: EncodedDocument, status: int) -> None:
    archive.status = status
    with archive.running() as peer:
        assert sender(peer).send(document, "pacs") == (DeliveryOutcome.WARNING, status)


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110])
def test_a_status_that_may_pass_is_transient(
    archive: Archive, document: EncodedDocument, status: int
) -> None:
    archive.status = status
    with archive.running() as peer, pytest.raises(TransientError, match=f"PACS@.*0x{status:04X}"):
        sender(peer).send(document, "pacs")


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC123, 0x0122, 0x0124])
def test_a_refusal_is_permanent(archive: Archive, document: EncodedDocument, status: int) -> None:
    archive.status = status
    with archive.running() as peer, pytest.raises(PermanentError, match=f"PACS@.*0x{status:04X}"):
        sender(peer).send(document, "pacs")


def test_an_abort_is_transient(archive: Archive, document: EncodedDocument) -> None:
    archive.abort_at = 0
    with archive.running() as peer:
        with pytest.raises(TransientError, match="did not answer C-STORE, or ended"):
            sender(peer).send(document, "pacs")
        assert sender(peer).send(document, "pacs") == (DeliveryOutcome.SUCCESS, 0x0000)


def test_a_class_that_is_not_accepted_is_permanent(archive: Archive, document: EncodedDocument) -> None:
    odd = EncodedDocument(
        "x", "1.2.3", "1.2.3.1", "1.2.840.10008.5.1.4.1.1.88.22", ExplicitVRLittleEndian, document.content
    )
    with (
        archive.running() as peer,
        pytest.raises(
            PermanentError, match="accepts none of the proposed presentation contexts: Enhanced SR Storage in"
        ),
    ):
        sender(peer).send(odd, "pacs")
    assert archive.received == []


def test_an_unknown_called_ae_title_is_transient_and_named(
    archive: Archive, document: EncodedDocument
) -> None:
    with archive.running(called="WRONG") as peer:
        for attempt in (lambda: sender(peer).send(document, "pacs"), lambda: sender(peer).echo("pacs")):
            with pytest.raises(
                TransientError,
                match=r"WRONG@.*rejects the association: it does not accept the called AE title",
            ):
                attempt()


def test_a_rejection_is_told_however_late_we_look(archive: Archive) -> None:
    """On a busy machine, answer and close arrive before the requesting thread runs again."""
    with archive.running(called="WRONG") as peer:
        late = (evt.EVT_REQUESTED, lambda _event: time.sleep(0.5))
        with (
            pytest.raises(
                TransientError, match="rejects the association: it does not accept the called AE title"
            ),
            associated(peer, "ECHO_NODE", [build_context(VERIFICATION)], 5.0, [late]),
        ):
            pass


def test_a_dead_peer_is_transient_and_named(document: EncodedDocument) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        peer = Peer(ae_title="PACS", host="127.0.0.1", port=free.getsockname()[1])
        with pytest.raises(TransientError, match="cannot be reached: Connection refused"):
            sender(peer).send(document, "pacs")


@pytest.mark.usefixtures("bare_pynetdicom")
def test_a_dead_peer_costs_no_file_descriptors(document: EncodedDocument) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        peer = Peer(ae_title="PACS", host="127.0.0.1", port=free.getsockname()[1])
        gc.disable()
        try:
            before = _descriptors()
            for _ in range(5):
                with pytest.raises(TransientError):
                    sender(peer).send(document, "pacs")
            assert _descriptors() == before
        finally:
            gc.enable()


def test_a_host_that_does_not_resolve_is_transient_and_named(document: EncodedDocument) -> None:
    peer = Peer(ae_title="PACS", host="pacs.invalid", port=104)
    with pytest.raises(TransientError, match="host name cannot be resolved"):
        sender(peer).send(document, "pacs")


def test_a_peer_that_is_silent_is_transient_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        peer = Peer(ae_title="PACS", host="127.0.0.1", port=mute.getsockname()[1])
        with pytest.raises(TransientError, match="does not answer as a DICOM peer"):
            sender(peer, timeout_s=0.3).echo("pacs")


def test_a_destination_that_is_gone_from_the_settings_is_permanent(document: EncodedDocument) -> None:
    with pytest.raises(PermanentError, match=r"'pacs'; add it to peers\.toml"):
        Sender("ECHO_NODE", {}, 1.0).send(document, "pacs")


def test_echo(archive: Archive) -> None:
    with archive.running() as peer:
        sender(peer).echo("pacs")
    assert archive.associations == 1


def test_files_go_in_their_own_syntax_over_one_association(
    archive: Archive, stored: Store, tmp_path: Path
) -> None:
    plain = stored().path
    image = dcmread(plain)
    image.compress(JPEGLSLossless, generate_instance_uid=False)
    compressed = tmp_path / "jls.dcm"
    image.save_as(compressed)
    broken, absent = tmp_path / "broken.dcm", tmp_path / "absent.dcm"
    broken.write_bytes(plain.read_bytes()[:-200])
    seen: list[FileResult] = []
    with archive.running(syntaxes=(ExplicitVRLittleEndian, JPEGLSLossless)) as peer:
        results = send_files([broken, plain, absent, compressed], peer, "ECHO_NODE", seen.append, timeout_s=5)
    assert results == seen
    assert {result.path.name: result.stored for result in results} == {
        "1.dcm": True,
        "jls.dcm": True,
        "broken.dcm": False,
        "absent.dcm": False,
    }
    by_name = {result.path.name: result.message for result in results}
    assert by_name["broken.dcm"] == "not a whole DICOM file: the data set ends in the middle of an element"
    assert by_name["absent.dcm"].startswith("the file cannot be read")
    assert archive.associations == 1
    assert archive.syntaxes == [ExplicitVRLittleEndian, JPEGLSLossless]
    assert archive.received == [split(path.read_bytes())[1] for path in (plain, compressed)]


def test_compressed_files_are_never_converted(archive: Archive, stored: Store, tmp_path: Path) -> None:
    image = dcmread(stored().path)
    image.compress(JPEGLSLossless, generate_instance_uid=False)
    image.save_as(tmp_path / "jls.dcm")
    with archive.running() as peer:
        (result,) = send_files([tmp_path / "jls.dcm"], peer, "ECHO_NODE", timeout_s=5)
    assert not result.stored
    assert (
        "accepts none of the proposed presentation contexts: Computed Radiography Image Storage in JPEG-LS"
        in result.message
    )


def test_a_refused_file_stops_no_other(archive: Archive, stored: Store) -> None:
    archive.status = 0xA900
    paths = [stored().path, stored().path]
    with archive.running() as peer:
        results = send_files(paths, peer, "ECHO_NODE", timeout_s=5)
    assert [(result.stored, result.status) for result in results] == [(False, 0xA900)] * 2


@pytest.mark.parametrize("uid", ["1.2.840.113619.2.5.0017", "1.2.3." + "4" * 120])
def test_files_with_unusual_uids_are_sent_as_they_are(
    archive: Archive, make_chest: MakeChest, tmp_path: Path, uid: str
) -> None:
    configure_libraries()
    image = make_chest(SOPInstanceUID=uid)
    image.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    image.save_as(tmp_path / "odd.dcm", enforce_file_format=True)
    with archive.running() as peer:
        (result,) = send_files([tmp_path / "odd.dcm"], peer, "ECHO_NODE", timeout_s=5)
    assert (result.stored, result.status) == (True, 0x0000)
    assert uid.encode() in archive.received[0]


def test_a_lost_association_is_opened_again(archive: Archive, stored: Store) -> None:
    archive.abort_at = 1
    paths = [stored().path for _ in range(3)]
    with archive.running() as peer:
        results = send_files(paths, peer, "ECHO_NODE", timeout_s=5)
    assert [result.stored for result in results] == [True, False, True]
    assert archive.associations == 2


def test_every_file_has_its_line_when_the_peer_is_dead(stored: Store) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        peer = Peer(ae_title="PACS", host="127.0.0.1", port=free.getsockname()[1])
        results = send_files([stored().path, stored().path], peer, "ECHO_NODE", timeout_s=5)
    assert [result.stored for result in results] == [False, False]
    assert all("Connection refused" in result.message for result in results)


def _descriptors() -> int:
    return len([*Path("/dev/fd").iterdir()])
