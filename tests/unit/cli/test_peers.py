"""`echo-node send` and `echo-node doctor` with a peer that runs, refuses or is not there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.console import echo_node
from support.pacs import Pacs, unused_port

from training.phantom.dicom_study import write_study


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    peer = Pacs()
    yield peer
    peer.stop()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address on which nothing listens."""
    with unused_port() as port:
        yield f"127.0.0.1:{port}"


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
    def findings(self, tmp_path: Path, *flags: str) -> tuple[int, dict[str, dict[str, str]]]:
        done = echo_node("doctor", "--json", "--data-dir", "data", *flags, cwd=tmp_path)
        return done.returncode, {finding["check"]: finding for finding in json.loads(done.stdout)}

    def test_a_destination_that_answers(self, pacs: Pacs, tmp_path: Path) -> None:
        _, found = self.findings(tmp_path, "--pacs", f"PACS@{pacs.address}")
        assert found["peer pacs"]["verdict"] == "ok"

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
