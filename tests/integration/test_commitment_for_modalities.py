"""Storage commitment for modalities, with a real Orthanc as the archive that must commit."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from integration.orthanc import AE_TITLE, PROGRAM, Orthanc, free_port
from pydicom import dcmread
from support.modality import Modality
from support.serving import eventually

from echo_node import node
from echo_node.dicom.scu.c_store import send_files
from echo_node.domain.work.commitment import ReferencedInstance
from echo_node.domain.work.kinds import COMMITMENT_REQUEST
from echo_node.settings import DeliverySettings, IntakeSettings, NodeSettings, Peer, Role, Settings
from echo_node.wiring.storage import open_storage
from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed: make tools"),
]
CR = "1.2.840.10008.5.1.4.1.1.1"


class Node:
    """The roles that receive and deliver, run as the program runs them, each in a thread."""

    def __init__(self, folder: Path, archive: Peer, modality: Peer) -> None:
        self.port = free_port()
        self.peer = Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=self.port)
        self.settings = Settings(
            node=NodeSettings(bind_address="127.0.0.1", port=self.port, data_dir=folder / "data"),
            intake=IntakeSettings(commitment_archive="archive", minimum_free_bytes=0),
            delivery=DeliverySettings(first_delay_s=0.2, longest_delay_s=0.5, timeout_s=20),
            peers={"archive": archive, "room 1": modality},
        )
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run both roles; a second time, on what the first has left."""
        self._stop.clear()
        threads = [
            threading.Thread(target=self._run, args=(role,), name=role.value)
            for role in (Role.RECEIVE, Role.DELIVER)
        ]
        for thread in threads:
            thread.start()
        eventually(self._answers_echo, "the node answers C-ECHO")
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def promises(self) -> list[dict[str, Any]]:
        """Return the requests that it knows, the newest first."""
        with open_storage(self.settings) as storage:
            return storage.queries.list_work(COMMITMENT_REQUEST)

    def _run(self, role: Role) -> None:
        own = self.settings.node.model_copy(update={"role": role})
        node.run_role(self.settings.model_copy(update={"node": own}), self._stop)

    def _answers_echo(self) -> bool:
        from echo_node.dicom.scu.c_store import Sender
        from echo_node.errors import TransientError

        try:
            Sender("TEST", {"node": self.peer}, 5).echo("node")
        except TransientError:
            return False
        return True


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """Two images of different studies, each with its SOP Instance UID."""
    files = [write_study(tmp_path, seed=seed, views=["PA"], size=128)[0] for seed in (3, 4)]
    return {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in files}


def _store(to: Peer, *paths: Path) -> None:
    for result in send_files(paths, to, "MODALITY"):
        assert result.status == 0, result


def _archive(folder: Path, make: Callable[[Peer], Node]) -> tuple[Orthanc, Node]:
    """Return an Orthanc and a node that know each other."""
    modalities: dict[str, tuple[str, int]] = {}
    orthanc = Orthanc(modalities)
    own = make(orthanc.peer)
    modalities["ECHO_NODE"] = ("127.0.0.1", own.port)
    return orthanc, own


def test_success_comes_after_the_archive_has_committed(tmp_path: Path, images: dict[str, Path]) -> None:
    modality = Modality()
    (both, here), unknown = images, "1.2.3.4"
    with modality.listening() as peer:
        orthanc, own = _archive(tmp_path, lambda archive: Node(tmp_path, archive, peer))
        with orthanc, own.running():
            orthanc.store(images[both].read_bytes())
            _store(own.peer, *images.values())
            orthanc.stop()
            asked = [ReferencedInstance(CR, uid) for uid in (both, here, unknown)]
            assert modality.ask(own.port, "1.7.1", asked) == 0x0000
            eventually(lambda: own.promises()[0]["tries"] >= 2, "the archive was looked for in vain, twice")
            assert own.promises()[0]["state"] in {"pending", "asking"}
            assert modality.answers.empty()
            orthanc.start()
            answer = modality.answers.get(timeout=120)
            assert (answer.calling, answer.event_type) == ("ECHO_NODE", 2)
            assert answer.information.TransactionUID == "1.7.1"
            assert answer.information.RetrieveAETitle == AE_TITLE
            assert answer.committed == {(CR, both)}
            assert answer.failed == {(CR, here): 0x0112, (CR, unknown): 0x0112}
            eventually(lambda: own.promises()[0]["state"] == "answered", "the answer is recorded")

            orthanc.store(images[here].read_bytes())  # the archive has it now and commits to a new request
            assert modality.ask(own.port, "1.7.2", asked[:2]) == 0x0000
            answer = modality.answers.get(timeout=120)
            assert (answer.event_type, answer.failed) == (1, {})
            assert answer.committed == {(CR, both), (CR, here)}
    assert modality.answers.empty()


def test_a_modality_that_was_down_and_a_node_that_was_restarted(
    tmp_path: Path, images: dict[str, Path]
) -> None:
    modality, port = Modality(), free_port()
    uid, path = next(iter(images.items()))
    peer = Peer(ae_title="MODALITY", host="127.0.0.1", port=port)
    orthanc, own = _archive(tmp_path, lambda archive: Node(tmp_path, archive, peer))
    with orthanc:
        orthanc.store(path.read_bytes())
        with own.running():
            _store(own.peer, path)
            assert modality.ask(own.port, "1.7.1", [ReferencedInstance(CR, uid)]) == 0x0000
            eventually(lambda: "cannot be reached" in str(own.promises()[0]["reason"]), "it is looked for")
        assert own.promises()[0]["state"] == "settled"
        with modality.listening(port), own.running():
            answer = modality.answers.get(timeout=120)
    assert (answer.event_type, answer.committed) == (1, {(CR, uid)})


def test_an_orthanc_that_asks_sees_what_the_archive_said(tmp_path: Path, images: dict[str, Path]) -> None:
    (both, here), modalities = images, dict[str, tuple[str, int]]()
    asking = Orthanc(modalities, ae_title="ASKING")
    orthanc, own = _archive(tmp_path, lambda archive: Node(tmp_path, archive, asking.peer))
    modalities["ECHO_NODE"] = ("127.0.0.1", own.port)
    with orthanc, asking, own.running():
        orthanc.store(images[both].read_bytes())
        asking.send([asking.store(path.read_bytes()) for path in images.values()], "ECHO_NODE")
        good = asking.ask_for_commitment("ECHO_NODE", [(CR, both)])
        bad = asking.ask_for_commitment("ECHO_NODE", [(CR, both), (CR, here)])
        for transaction in (good, bad):

            def is_answered(transaction: str = transaction) -> bool:
                return bool(asking.commitment(transaction)["Status"] != "Pending")

            eventually(is_answered, "Orthanc has its answer")
        said = asking.commitment(good)
        assert (said["Status"], said["RemoteAET"]) == ("Success", "ECHO_NODE")
        assert [item["SOPInstanceUID"] for item in said["Success"]] == [both]
        said = asking.commitment(bad)
        assert said["Status"] == "Failure"
        assert [item["SOPInstanceUID"] for item in said["Success"]] == [both]
        (failure,) = said["Failures"]
        assert (failure["SOPInstanceUID"], failure["FailureReason"]) == (here, 0x0112), json.dumps(said)
        eventually(
            lambda: [row["state"] for row in own.promises()] == ["answered", "answered"],
            "both answers are recorded",
        )
