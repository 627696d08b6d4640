"""kill -9 of the whole process tree at bad moments, then a restart: nothing lost or doubled."""

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from integration.orthanc import AE_TITLE, PROGRAM, Orthanc
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom.ae import ApplicationEntity
from support.parrot import write_parrot
from support.proxy import AnswerSwallower
from support.serving import ServedNode, eventually

from echo_node.storage.operations.backup import data_set_of
from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed: make tools"),
]

_ROLES = ("receive", "infer", "deliver")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that drafts in a moment, so that these tests do not depend on the shipped one."""
    return write_parrot(tmp_path_factory.mktemp("model"))


@pytest.fixture
def pacs() -> Iterator[Orthanc]:
    with Orthanc() as orthanc:
        yield orthanc


def _study(folder: Path, seed: int, size: int = 512) -> tuple[Path, str]:
    folder.mkdir(exist_ok=True)
    (path,) = write_study(folder, seed=seed, views=["PA"], size=size)
    return path, str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)


def _node(folder: Path, port: int, model: Path, idle_s: float = 1.0, *, is_warm: bool = True) -> ServedNode:
    flags = ("--pacs", f"{AE_TITLE}@127.0.0.1:{port}", "--study-idle", str(idle_s), "--model", str(model))
    return ServedNode(folder, *flags, is_warm=is_warm)


def _send(node: ServedNode, *paths: Path) -> None:
    command = ["/usr/bin/storescu", "-v", "-aec", "ECHO_NODE", "127.0.0.1", str(node.port), *map(str, paths)]
    sent = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (sent.stdout + sent.stderr).count("Success") >= len(paths), sent.stdout + sent.stderr


def _wait_until_delivered(node: ServedNode, count: int = 1) -> None:
    eventually(lambda: node.studies() == {"delivered": count}, f"{count} delivered, all of them: {node.log}")


def _one_report(pacs: Orthanc, study: str) -> None:
    reports = pacs.reports(study)
    assert len(reports) == 1
    assert pacs.instances(study) == [str(_read(reports[0]).SOPInstanceUID)]


def _read(part10: bytes) -> Dataset:
    return dcmread(BytesIO(part10))


def test_killed_while_receiving_every_acknowledged_image_is_there(
    tmp_path: Path, pacs: Orthanc, model: Path
) -> None:
    path, study = _study(tmp_path / "sent", 11)
    with _node(tmp_path, pacs.dicom_port, model, idle_s=3, is_warm=False) as node:
        node.start("receive")
        acknowledged = _send_until_killed(node, path, kill_after=7)
        assert len(acknowledged) >= 7
        assert node._process is None

        node.start(*_ROLES)
        with node.storage() as storage:
            kept = {
                row["sop_instance_uid"]: node.data_dir / row["path"]
                for row in storage.queries.show(1)["instances"]
            }
        assert set(acknowledged) <= set(kept)
        for uid, file in kept.items():
            assert dcmread(file).SOPInstanceUID == uid
            assert hashlib.sha256(data_set_of(file.read_bytes())).hexdigest() == file.name.partition("-")[0]
        assert list((node.data_dir / "spool" / "tmp").iterdir()) == []
        _wait_until_delivered(node)
        _one_report(pacs, study)
        assert node.stop() == 0


@pytest.mark.long
def test_killed_while_drafting_the_draft_is_made_once(tmp_path: Path, pacs: Orthanc, model: Path) -> None:
    path, study = _study(tmp_path / "sent", 12, size=2048)
    with _node(tmp_path, pacs.dicom_port, model) as node:
        node.start(*_ROLES)
        _send(node, path)
        with node.storage() as storage:
            watched = storage.queries
            eventually(lambda: "drafting" in watched.overview().studies, "a worker drafts", every_s=0.001)
            node.kill()
        assert node.studies() == {"drafting": 1}
        assert pacs.reports(study) == []

        node.start(*_ROLES)
        # Long before the lease of the killed worker (queue.lease_s, 120 s) runs out.
        _wait_until_delivered(node)
        with node.storage() as storage:
            (job,) = storage.queries.show(1)["jobs"]
        assert job["attempt"] == 2
        _one_report(pacs, study)
        assert node.stop() == 0


def test_killed_after_the_pacs_stored_and_before_we_knew_it_is_still_one_report(
    tmp_path: Path, pacs: Orthanc, model: Path
) -> None:
    path, study = _study(tmp_path / "sent", 13)
    with AnswerSwallower(pacs.dicom_port) as network, _node(tmp_path, network.port, model) as node:
        network.swallowing = True
        node.start(*_ROLES)
        _send(node, path)
        eventually(lambda: len(pacs.reports(study)) == 1, "the PACS has the draft")
        first = pacs.reports(study)
        node.kill()
        assert node.studies() == {"drafted": 1}

        network.swallowing = False
        node.start(*_ROLES)
        _wait_until_delivered(node)
        _one_report(pacs, study)
        assert _read(pacs.reports(study)[0]) == _read(first[0])
        with node.storage() as storage:
            assert storage.queries.show(1)["deliveries"][0]["attempt"] == 2
        _send(node, path)  # and sent again, there is still nothing new
        assert node.studies() == {"delivered": 1}
        _one_report(pacs, study)
        assert node.stop() == 0


def _send_until_killed(node: ServedNode, path: Path, kill_after: int) -> list[str]:
    """Send one image under new UIDs over three associations; kill the node while they send."""
    image = dcmread(path)
    acknowledged: list[str] = []
    enough, killed = threading.Event(), threading.Event()
    lock = threading.Lock()

    def send(number: int) -> None:
        entity = ApplicationEntity(f"MODALITY{number}")
        entity.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
        association = entity.associate("127.0.0.1", node.port, ae_title="ECHO_NODE")
        while association.is_established and not killed.is_set():
            copy = dcmread(path)
            copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            try:
                status = association.send_c_store(copy)
            except RuntimeError:  # the association was aborted between the two lines
                break
            if "Status" in status and status.Status == 0x0000:
                with lock:
                    acknowledged.append(str(copy.SOPInstanceUID))
                    if len(acknowledged) >= kill_after:
                        enough.set()
        association.abort()

    senders = [threading.Thread(target=send, args=(number,)) for number in range(3)]
    for sender in senders:
        sender.start()
    assert enough.wait(60)
    node.kill()
    killed.set()
    for sender in senders:
        sender.join(60)
    return acknowledged
