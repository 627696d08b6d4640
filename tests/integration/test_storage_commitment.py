"""A real Orthanc is asked whether it answers for the drafts that it was sent."""

import json
import queue
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from integration.orthanc import AE_TITLE, PROGRAM, Orthanc
from support.serving import ServedNode, eventually
from support.sinks import Sink

from echo_node.dicom.scp.provider import StorageProvider
from echo_node.dicom.scu.storage_commitment import CommitmentUser
from echo_node.domain.work.commitment import CommitmentJob, CommitmentReport, ReferencedInstance
from echo_node.domain.work.job import Lease
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import IntakeSettings, NodeSettings, Peer
from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed: make tools"),
]
_CR = "1.2.840.10008.5.1.4.1.1.1"


class Answers:
    """Destination of Orthanc's reports: our provider, which keeps them."""

    def __init__(self) -> None:
        self.reports: queue.Queue[tuple[CommitmentReport, str]] = queue.Queue()
        node = NodeSettings(bind_address="127.0.0.1", port=0)
        self.provider = StorageProvider(node, IntakeSettings(), {}, Sink(), self._take)
        self.port = self.provider.start()

    def _take(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        self.reports.put((report, calling_ae_title))
        return True


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    waiting = Answers()
    yield waiting
    waiting.provider.stop()


@pytest.fixture(scope="module")
def pacs(answers: Answers) -> Iterator[Orthanc]:
    with Orthanc({"ECHO_NODE": ("127.0.0.1", answers.port)}) as orthanc:
        yield orthanc


def _job(number: int, sop_instance_uid: str) -> CommitmentJob:
    lease = Lease(number, 1, 1, "test", datetime.now(UTC))
    return CommitmentJob(lease, "pacs", f"2.25.{number}", (ReferencedInstance(_CR, sop_instance_uid),))


def _ask(pacs: Orthanc, answers: Answers, job: CommitmentJob) -> CommitmentReport:
    user = CommitmentUser("ECHO_NODE", {"pacs": pacs.peer}, 10)
    at_once = user.request(job)
    if at_once is not None:
        return at_once
    report, calling = answers.reports.get(timeout=30)
    assert calling == AE_TITLE
    return report


def test_orthanc_answers_for_what_it_has(pacs: Orthanc, answers: Answers, tmp_path: Path) -> None:
    (path,) = write_study(tmp_path, seed=3, views=["PA"], size=256)
    pacs.store(path.read_bytes())
    (there,) = [str(each["MainDicomTags"]["SOPInstanceUID"]) for each in pacs.find(Modality="CR")]
    committed = frozenset({ReferencedInstance(_CR, there)})
    assert _ask(pacs, answers, _job(1, there)) == CommitmentReport("2.25.1", committed, {})


def test_orthanc_says_what_it_does_not_have(pacs: Orthanc, answers: Answers) -> None:
    assert _ask(pacs, answers, _job(2, "1.2.3")) == CommitmentReport("2.25.2", frozenset(), {"1.2.3": 0x0112})


def test_a_peer_that_is_not_there_may_come_back(answers: Answers) -> None:
    user = CommitmentUser("ECHO_NODE", {"pacs": Peer(ae_title="GONE", host="127.0.0.1", port=9)}, 2)
    with pytest.raises(TransientError, match="cannot be reached"):
        user.request(_job(3, "1.2.3"))


def test_a_peer_that_commits_to_nothing_says_so(answers: Answers) -> None:
    """Our own provider takes reports, and is not asked."""
    plain = StorageProvider(NodeSettings(bind_address="127.0.0.1", port=0), IntakeSettings(), {}, Sink())
    port = plain.start()
    try:
        peers = {"pacs": Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=port)}
        with pytest.raises(PermanentError, match="accepts none of the proposed presentation contexts"):
            CommitmentUser("ECHO_NODE", peers, 5).request(_job(4, "1.2.3"))
    finally:
        plain.stop()
    with pytest.raises(PermanentError, match="no peer is named"):
        CommitmentUser("ECHO_NODE", {}, 5).request(_job(5, "1.2.3"))


@pytest.mark.slow
def test_the_node_knows_that_its_draft_is_committed_to(tmp_path: Path) -> None:
    modalities: dict[str, tuple[str, int]] = {}
    orthanc = Orthanc(modalities)
    config = tmp_path / "config"
    config.mkdir()
    (config / "node.toml").write_text('[delivery]\ndestinations = ["pacs"]\n[intake]\nstudy_idle_s = 1.0\n')
    (config / "peers.toml").write_text(
        f'[pacs]\nae_title = "{AE_TITLE}"\nhost = "127.0.0.1"\nport = {orthanc.dicom_port}\n'
        "storage_commitment = true\n"
    )
    (path,) = write_study(tmp_path, seed=3, views=["PA"], size=256)
    with ServedNode(tmp_path, "--config", str(config), is_warm=True) as node:
        node.start("receive", "infer", "deliver")
        modalities["ECHO_NODE"] = ("127.0.0.1", node.port)
        with orthanc:
            send = [sys.executable, "-m", "echo_node", "send", str(path)]
            subprocess.run([*send, "--to", f"ECHO_NODE@127.0.0.1:{node.port}"], check=True, timeout=120)
            command = [sys.executable, "-m", "echo_node", "status", "--json", "--config", str(config)]
            command += ["--data-dir", str(node.data_dir)]

            def committed() -> bool:
                said = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
                return bool(json.loads(said)["commitments"]["committed"] == 1)

            eventually(committed, "the draft is committed to", every_s=1.0)
