"""DCMTK's storescu as the modality: every transfer syntax, and what is refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from support.sinks import Sink

from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.scp.provider import StorageProvider
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.studies.study import ReceivedInstance, SelectedImage
from echo_node.settings import IntakeSettings, NodeSettings

pytestmark = pytest.mark.external

_BIN = Path("/usr/bin")  # pynetdicom puts programs of the same names into the virtual environment

EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
RLE = "1.2.840.10008.1.2.5"


class Spool(Sink):
    """A sink that writes files without caring for durability: that is the storage's business."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.paths: list[Path] = []

    def store(self, received: ReceivedInstance, file_meta: bytes, data_set: bytes) -> StoreOutcome:
        path = self.folder / f"{len(self.paths)}.dcm"
        path.write_bytes(file_meta + data_set)
        self.paths.append(path)
        return StoreOutcome.STORED


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    folder = tmp_path / "spool"
    folder.mkdir()
    return Spool(folder)


@pytest.fixture
def port(spool: Spool) -> Iterator[int]:
    provider = StorageProvider(NodeSettings(bind_address="127.0.0.1", port=0), IntakeSettings(), {}, spool)
    yield provider.start()
    provider.stop()


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(_BIN / program), *map(str, arguments)],
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def storescu(
    port: int, *arguments: str | Path, called: str = "ECHO_NODE"
) -> subprocess.CompletedProcess[str]:
    return run("storescu", "-v", "-aet", "MODALITY", "-aec", called, "127.0.0.1", str(port), *arguments)


def sample(name: str) -> Path:
    found = get_testdata_file(f"{name}.dcm", download=False)
    assert isinstance(found, str)
    return Path(found)


def converted(target: Path, *command: str, source: str = "RG1_UNCR") -> Path:
    program, *options = command
    done = run(program, *options, sample(source), target)
    assert done.returncode == 0, done.stderr
    return target


def eight_bit(target: Path) -> Path:
    """Write RG1 with 8 bits, as JPEG baseline needs it."""
    image = dcmread(sample("RG1_UNCR"))
    image.PixelData = (image.pixel_array >> 7).astype("uint8").tobytes()
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit = 7
    image.WindowCenter, image.WindowWidth = 117, 234
    del image[0xFFFCFFFC]
    image.save_as(target)
    return target


def made(syntax: str, folder: Path) -> Path:
    """Return RG1 in the transfer syntax, made by DCMTK or GDCM where pydicom-data has none."""
    target = folder / "sent.dcm"
    match syntax:
        case "1.2.840.10008.1.2":
            return converted(target, "dcmconv", "+ti")
        case "1.2.840.10008.1.2.1":
            return sample("RG1_UNCR")
        case "1.2.840.10008.1.2.2":
            return converted(target, "dcmconv", "+tb")
        case "1.2.840.10008.1.2.4.50":
            done = run("dcmcjpeg", "+eb", eight_bit(folder / "eight.dcm"), target)
            assert done.returncode == 0, done.stderr
            return target
        case "1.2.840.10008.1.2.4.51":
            return converted(target, "dcmcjpeg", "+ee", "+q", "95", source="RG3_UNCR")
        case "1.2.840.10008.1.2.4.57":
            return converted(target, "dcmcjpeg", "+el")
        case "1.2.840.10008.1.2.4.70":
            return converted(target, "dcmcjpeg", "+e1")
        case "1.2.840.10008.1.2.4.80":
            return converted(target, "dcmcjpls", "+el")
        case "1.2.840.10008.1.2.4.81":
            return converted(target, "dcmcjpls", "+en", "+md", "2")
        case "1.2.840.10008.1.2.4.90":
            return sample("RG1_J2KR")
        case "1.2.840.10008.1.2.4.91":
            return sample("RG1_J2KI")
        case _:
            return converted(target, "dcmcrle")


PROPOSALS = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    JPEG_BASELINE: "-xy",
    JPEG_EXTENDED: "-xx",
    JPEG_LOSSLESS_SV1: "-xs",
    JPEG_LS: "-xt",
    JPEG_LS_NEAR: "-xu",
    JPEG_2000_LOSSLESS: "-xv",
    JPEG_2000: "-xw",
    RLE: "-xr",
}
LOSSY = {JPEG_BASELINE: 3.0, JPEG_EXTENDED: 3.0, JPEG_LS_NEAR: 1.0, JPEG_2000: 2.0}


@pytest.mark.parametrize("syntax", PROPOSALS)
def test_every_transfer_syntax_is_received_and_can_be_displayed(
    syntax: str, port: int, spool: Spool, tmp_path: Path
) -> None:
    sent = made(syntax, tmp_path)
    assert dcmread(sent, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
    done = storescu(port, PROPOSALS[syntax], sent)
    assert done.returncode == 0, done.stderr
    assert "Received Store Response (Success)" in done.stderr
    (path,) = spool.paths
    received = instance_from_file(path)
    assert received.identity.transfer_syntax_uid == syntax
    shown = DisplayedPixels().read(SelectedImage(received, "PA"))
    plain = "RG3_UNCR" if syntax == JPEG_EXTENDED else "RG1_UNCR"
    expected = DisplayedPixels().read(SelectedImage(instance_from_file(sample(plain)), "PA"))
    assert (shown.width, shown.height) == (expected.width, expected.height)
    difference = sum(abs(a - b) for a, b in zip(shown.pixels[::97], expected.pixels[::97], strict=True))
    assert difference / len(shown.pixels[::97]) <= LOSSY.get(syntax, 0.0)


def test_jpeg_lossless_of_any_predictor_by_our_own_sender(port: int, spool: Spool, tmp_path: Path) -> None:
    """storescu proposes selection value 1 only."""
    from echo_node.dicom.scu.c_store import send_files
    from echo_node.settings import Peer

    sent = made(JPEG_LOSSLESS, tmp_path)
    peer = Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=port)
    (result,) = send_files([sent], peer, "MODALITY")
    assert result.stored
    shown = DisplayedPixels().read(SelectedImage(instance_from_file(spool.paths[0]), "PA"))
    expected = DisplayedPixels().read(SelectedImage(instance_from_file(sample("RG1_UNCR")), "PA"))
    assert shown == expected


def test_the_bytes_are_those_of_the_sender(port: int, spool: Spool) -> None:
    assert storescu(port, "-xv", sample("RG1_J2KR")).returncode == 0
    sent, received = instance_from_file(sample("RG1_J2KR")), instance_from_file(spool.paths[0])
    assert received.identity == sent.identity
    # storescu writes each data set again: the pixels must be equal.
    assert _digest(sample("RG1_J2KR")) == _digest(spool.paths[0])


def _digest(path: Path) -> str:
    return hashlib.sha256(dcmread(path).PixelData).hexdigest()


def test_several_files_in_one_association(port: int, spool: Spool) -> None:
    done = storescu(port, sample("RG1_UNCR"), sample("RG3_UNCR"), sample("RG1_UNCR"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Association Accepted") == 1
    assert len(spool.paths) == 3


def test_an_unknown_sop_class_is_refused_and_nothing_else_stops(port: int, spool: Spool) -> None:
    done = storescu(port, sample("CT_small"))
    assert done.returncode != 0
    assert "No presentation context for: (CT)" in done.stderr or "No Acceptable Presentation" in done.stderr
    assert storescu(port, sample("RG1_UNCR")).returncode == 0
    assert len(spool.paths) == 1


def test_a_wrong_called_ae_title_is_rejected(port: int, spool: Spool) -> None:
    done = storescu(port, sample("RG1_UNCR"), called="SOMEBODY")
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stderr
    assert spool.paths == []


def test_a_path_in_a_uid_is_refused(port: int, spool: Spool, tmp_path: Path) -> None:
    evil = tmp_path / "evil.dcm"
    shutil.copy(sample("RG1_UNCR"), evil)
    done = run("dcmodify", "-nb", "-m", "StudyInstanceUID=../../../../tmp/evil", evil)
    assert done.returncode == 0, done.stderr
    done = storescu(port, evil)
    assert "Received Store Response (Error: CannotUnderstand)" in done.stderr
    assert spool.paths == []


def test_echoscu(port: int) -> None:
    assert run("echoscu", "-aec", "ECHO_NODE", "127.0.0.1", str(port)).returncode == 0
    assert run("echoscu", "-aec", "SOMEBODY", "127.0.0.1", str(port)).returncode != 0


def test_a_sender_killed_in_the_middle_leaves_nothing(port: int, spool: Spool) -> None:
    """The connection ends inside the pixel data: no instance, and the next one is received."""
    import socket
    import threading

    cut = threading.Event()

    def forward(listening: socket.socket) -> None:
        client, _ = listening.accept()
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            back = threading.Thread(target=_pump, args=(server, client, 10**9), daemon=True)
            back.start()
            _pump(client, server, 2_000_000)
        cut.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=forward, args=(listening,), daemon=True).start()
        done = storescu(listening.getsockname()[1], sample("RG1_UNCR"))
        assert done.returncode != 0
        assert cut.wait(10)
    assert storescu(port, sample("RG3_UNCR")).returncode == 0
    (path,) = spool.paths
    assert instance_from_file(path).identity == instance_from_file(sample("RG3_UNCR")).identity


def _pump(source: object, target: object, limit: int) -> None:
    import socket

    assert isinstance(source, socket.socket)
    assert isinstance(target, socket.socket)
    passed = 0
    try:
        while passed < limit and (block := source.recv(65536)):
            target.sendall(block)
            passed += len(block)
    except OSError:
        pass
    finally:
        target.close()
        source.close()
