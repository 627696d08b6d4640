"""`echo-node model`: from a hub and from a folder into the library, verified and put to use."""

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.console import echo_node, fresh_echo_node
from support.small_checkpoint import write_checkpoint

_ID, _REVISION = "someone/small_block4", "0123456789abcdef0123456789abcdef01234567"
_CODE = "modeling_echo.py"


class _Hub(BaseHTTPRequestHandler):
    """As much of a model hub's HTTP interface as a download needs, over the files of a folder."""

    folder: Path

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        names = sorted(p.name for p in self.folder.iterdir())
        files = [
            {"type": "file", "path": n, "size": (self.folder / n).stat().st_size, "oid": n} for n in names
        ]
        if path.startswith(f"/api/models/{_ID}/tree/"):
            return self._send(json.dumps(files).encode(), body=body)
        if path in (f"/api/models/{_ID}", f"/api/models/{_ID}/revision/main"):
            siblings = [{"rfilename": name} for name in names]
            card = {"license": "cc-by-nc-4.0"}
            info = {"id": _ID, "sha": _REVISION, "siblings": siblings, "cardData": card, "tags": []}
            return self._send(json.dumps(info).encode(), body=body)
        if path.startswith(f"/{_ID}/resolve/{_REVISION}/"):
            content = (self.folder / path.rpartition("/")[2]).read_bytes()
            return self._send(content, body=body)
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        return None

    def _send(self, content: bytes, *, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')  # noqa: S324 - as hubs do
        self.send_header("X-Repo-Commit", _REVISION)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    folder = write_checkpoint(tmp_path / "hub")
    config = json.loads((folder / "config.json").read_text())
    del config["block_length"]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.json").unlink()
    (folder / _CODE).write_text("raise SystemExit('code of a checkpoint was run')")
    handler = type("Hub", (_Hub,), {"folder": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class _Commands:
    def __init__(self, tmp_path: Path, endpoint: str) -> None:
        self.library = tmp_path / "library"
        self.environment = {
            "ECHO_NODE_MODELS": str(self.library),
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
        }

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return echo_node("model", *arguments, cwd=self.library.parent, env=self.environment)

    def from_hub(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run in a fresh interpreter: the hub's library reads its variables when it is imported."""
        return fresh_echo_node("model", *arguments, cwd=self.library.parent, env=self.environment)


def test_from_a_hub_to_the_node(hub: str, tmp_path: Path) -> None:
    model = _Commands(tmp_path, hub)
    added = model.from_hub("add", _ID, "--yes")
    assert added.returncode == 0, added.stderr
    assert "cc-by-nc-4.0" in added.stderr
    assert "block length 4" in added.stdout
    kept = model.library / "small_block4"
    assert not (kept / _CODE).exists()
    facts = json.loads((kept / "model.json").read_text())
    assert facts["licence"] == "cc-by-nc-4.0"
    assert facts["origin"] == f"{_ID}@{_REVISION}"

    listed = {row["name"]: row for row in json.loads(model("list", "--json").stdout)}
    assert listed["small_block4"]["block_length"] == 4
    assert listed["echo-demo"]["used"]

    assert model("verify", "small_block4").returncode == 0
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=kept, check=True)

    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "node.toml").write_text(
        '[model]  # The model.\n\n# name = "echo-demo"\n\n[queue]\nattempts = 3\n'
    )
    assert model("use", "small_block4", "--config", str(settings)).returncode == 0
    assert '\nname = "small_block4"\n' in (settings / "node.toml").read_text()
    used = json.loads(model("list", "--json", "--config", str(settings)).stdout)
    assert [row["name"] for row in used if row["used"]] == ["small_block4"]


def test_a_changed_file_is_named(hub: str, tmp_path: Path) -> None:
    model = _Commands(tmp_path, hub)
    source = write_checkpoint(tmp_path / "mine")
    assert model("add", str(source)).returncode == 0
    kept = model.library / "mine"
    with (kept / "tokenizer.json").open("a") as file:
        file.write(" ")
    (kept / "preprocessor_config.json").unlink()
    verified = model("verify", "mine")
    assert verified.returncode == 1
    assert "tokenizer.json: its content has changed" in verified.stdout
    assert "preprocessor_config.json: missing" in verified.stdout
    assert "config.json: " not in verified.stdout.replace("preprocessor_config.json: ", "")


@pytest.mark.long
def test_what_cannot_be_added_is_said(hub: str, tmp_path: Path) -> None:
    model = _Commands(tmp_path, hub)
    absent = model.from_hub("add", "someone/else", "--yes")
    assert absent.returncode == 1
    assert "someone/else" in absent.stderr
    assert "defect" not in absent.stderr
    model.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    unreachable = model.from_hub("add", _ID, "--yes")
    assert unreachable.returncode == 1
    assert "defect" not in unreachable.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "not a checkpoint" in model("add", str(empty)).stderr
    source = write_checkpoint(tmp_path / "twice")
    assert model("add", str(source)).returncode == 0
    assert "already" in model("add", str(source)).stderr
    assert not list(model.library.glob(".*"))
