"""`echo-node send` and `echo-node doctor`, against a peer that runs, that refuses, that is not there."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import ComputedRadiographyImageStorage, Verification  # type: ignore[attr-defined]
from support.console import echo_node
from support.mllp import ReportingSystem

from training.phantom.dicom_study import write_study

_STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"


class Pacs:
    """A peer that takes computed radiography with the status that it is told to answer."""

    def __init__(self) -> None:
        self.status = 0x0000
        self.received = self.associations = 0
        entity = AE("PACS")
        entity.require_called_aet = True
        entity.add_supported_context(Verification)
        entity.add_supported_context(ComputedRadiographyImageStorage)
        entity.add_supported_context(ComputedRadiographyImageStorage, "1.2.840.10008.1.2.1")
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_C_FIND, lambda _event: iter([(0x0000, None)])),
        ]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self._server = server
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def answers_questions(self) -> None:
        """Take C-FIND from now on."""
        self._server.contexts = [*self._server.contexts, build_context(_STUDY_ROOT)]

    def _store(self, _event: evt.Event) -> int:
        self.received += 1
        return self.status

    def _accepted(self, _event: evt.Event) -> None:
        self.associations += 1

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    peer = Pacs()
    yield peer
    peer.stop()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_study(tmp_path, seed=1, size=128)[0]


class TestSend:
    def test_each_file_has_its_result(self, pacs: Pacs, image: Path, tmp_path: Path) -> None:
        (tmp_path / "text.dcm").write_text("no DICOM", encoding="utf-8")
        done = echo_node("send", "text.dcm", image, "--to", f"PACS@{pacs.address}", "--json", cwd=tmp_path)
        results = json.loads(done.stdout)
        assert done.returncode == 1
        assert [(Path(r["file"]).name, r["stored"], r["status"]) for r in results] == [
            ("text.dcm", False, None),
            (image.name, True, "0x0000"),
        ]
        assert pacs.received == 1

    def test_a_warning_counts_as_stored_and_a_refusal_does_not(
        self, pacs: Pacs, image: Path, tmp_path: Path
    ) -> None:
        for status, code in ((0xB000, 0), (0xA700, 1), (0xC000, 1)):
            pacs.status = status
            done = echo_node("send", image, "--to", f"PACS@{pacs.address}", "--json", cwd=tmp_path)
            (result,) = json.loads(done.stdout)
            assert (done.returncode, result["status"]) == (code, f"0x{status:04X}")

    def test_a_folder_is_searched_and_goes_over_one_association(self, pacs: Pacs, tmp_path: Path) -> None:
        (tmp_path / "study").mkdir()
        for seed in (1, 2):
            write_study(tmp_path / "study", seed=seed, views=["PA"], size=128)
        assert echo_node("send", "study", "--to", f"PACS@{pacs.address}", cwd=tmp_path).returncode == 0
        assert (pacs.received, pacs.associations) == (2, 1)

    def test_to_a_peer_by_its_name(self, pacs: Pacs, image: Path, tmp_path: Path) -> None:
        host, port = pacs.address.split(":")
        environment = {
            "ECHO_NODE_PEERS__ARCHIVE__AE_TITLE": "PACS",
            "ECHO_NODE_PEERS__ARCHIVE__HOST": host,
            "ECHO_NODE_PEERS__ARCHIVE__PORT": port,
        }
        done = echo_node("send", image, "--to", "archive", cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("to", ["nowhere", "PACS@host", "SEVENTEEN_LETTERS@host:1"])
    def test_an_impossible_peer_is_exit_code_2(self, to: str, image: Path, tmp_path: Path) -> None:
        done = echo_node("send", image, "--to", to, cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)

    def test_nobody_listens(self, nobody: str, image: Path, tmp_path: Path) -> None:
        done = echo_node("send", image, "--to", f"PACS@{nobody}", cwd=tmp_path)
        assert done.returncode == 1
        assert "cannot be reached" in done.stderr


class TestDoctor:
    def findings(
        self, tmp_path: Path, *flags: str, env: dict[str, str] | None = None
    ) -> tuple[int, dict[str, dict[str, str]]]:
        done = echo_node("doctor", "--json", "--data-dir", "data", *flags, cwd=tmp_path, env=env)
        return done.returncode, {finding["check"]: finding for finding in json.loads(done.stdout)}

    def test_a_destination_that_answers(self, pacs: Pacs, tmp_path: Path) -> None:
        _, found = self.findings(tmp_path, "--pacs", f"PACS@{pacs.address}")
        assert found["peer pacs"]["verdict"] == "ok"

    def test_a_reporting_system_and_the_forms_that_are_made(self, tmp_path: Path) -> None:
        ris = {"ECHO_NODE_PEERS__RIS__AE_TITLE": "RIS", "ECHO_NODE_DELIVERY__DESTINATIONS": "ris"}
        with ReportingSystem() as system:
            ris["ECHO_NODE_PEERS__RIS__MLLP_URL"] = f"mllp://127.0.0.1:{system.port}"
            _, found = self.findings(tmp_path, env=ris)
            assert found["peer ris"]["verdict"] == "ok"
            assert (found["documents"]["verdict"], found["documents"]["message"]) == ("ok", "oru-r01")
            assert system.received == []
        _, found = self.findings(tmp_path, env=ris)
        assert found["peer ris"]["verdict"] == "failed"

    def test_the_archive_of_priors_must_answer_questions(self, pacs: Pacs, tmp_path: Path) -> None:
        host, port = pacs.address.split(":")
        environment = {
            "ECHO_NODE_PEERS__ARCHIVE__AE_TITLE": "PACS",
            "ECHO_NODE_PEERS__ARCHIVE__HOST": host,
            "ECHO_NODE_PEERS__ARCHIVE__PORT": port,
            "ECHO_NODE_PRIORS__PEER": "archive",
        }
        code, found = self.findings(tmp_path, env=environment)
        assert (code, found["peer archive"]["verdict"], found["priors"]["verdict"]) == (1, "ok", "failed")
        assert "Study Root" in found["priors"]["message"]
        assert found["priors"]["remedy"]
        pacs.answers_questions()
        code, found = self.findings(tmp_path, env=environment)
        assert (found["priors"]["verdict"], found["priors"]["message"]) == ("ok", "PACS answers C-FIND")

    @pytest.mark.parametrize("title", ["OTHER", "PACS"])
    def test_a_destination_that_refuses_or_is_not_there_fails(
        self, title: str, pacs: Pacs, nobody: str, tmp_path: Path
    ) -> None:
        address = pacs.address if title == "OTHER" else nobody
        code, found = self.findings(tmp_path, "--pacs", f"{title}@{address}")
        assert (code, found["peer pacs"]["verdict"]) == (1, "failed")
        assert found["peer pacs"]["remedy"]

    def test_nothing_is_made(self, tmp_path: Path) -> None:
        _, found = self.findings(tmp_path)
        assert found["database"]["verdict"] == "note"
        assert not (tmp_path / "data").exists()

    def test_what_fails_says_what_to_do(self, tmp_path: Path) -> None:
        flags = ("--model", "not-there", "--set", f"intake.minimum_free_bytes={2**62}")
        code, found = self.findings(tmp_path, *flags)
        assert code == 1
        assert (found["model"]["verdict"], found["disk"]["verdict"]) == ("failed", "failed")
        assert found["model"]["remedy"]
        assert found["disk"]["remedy"]

    def test_a_wrong_configuration_is_a_finding_too(self, tmp_path: Path) -> None:
        code, found = self.findings(tmp_path, "--set", "node.prot=1")
        assert (code, list(found)) == (1, ["config"])

    def test_all_in_order_with_the_shipped_model(self, tmp_path: Path) -> None:
        code, found = self.findings(tmp_path)
        assert "priors" not in found
        assert (code, found["model"]["verdict"], found["device"]["verdict"]) == (0, "ok", "ok")
