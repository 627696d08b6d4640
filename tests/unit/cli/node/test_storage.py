"""`echo-node storage …` and `restore` with two databases on one store."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from support.console import echo_node
from support.studies import SetClock, document, put, received

from echo_node.settings import DatabaseSettings, NodeSettings, Settings
from echo_node.storage.open import Storage
from echo_node.wiring.storage import open_storage


class Nodes:
    """Two databases, `first` and `second`, with one data folder: the second one is a mistake."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self._config = config
        for name in ("first", "second"):
            assert self(name, "db", "upgrade").returncode == 0

    def _url(self, name: str) -> str:
        return f"sqlite:///{self.folder / name}.sqlite3"

    def flags(self, name: str) -> tuple[str, ...]:
        return ("--config", str(self._config), "--data-dir", "data", "--database-url", self._url(name))

    def __call__(self, name: str, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        return echo_node(
            *arguments,
            *self.flags(name),
            cwd=self.folder,
            env={"COLUMNS": "200", "ECHO_NODE_LOG__FORMAT": "json"},
            answers=answer,
        )

    def open(self, name: str) -> Storage:
        settings = Settings(
            node=NodeSettings(data_dir=self.folder / "data"), database=DatabaseSettings(url=self._url(name))
        )
        return open_storage(settings, SetClock())

    def fill(self) -> Path:
        """Let the first node keep an image, and claim its store; return its file."""
        with self.open("first") as storage:
            file = put(storage.spool, received())
            storage.studies.record(received(), file)
            storage.ownership.claim()
        return self.folder / "data" / file.path

    def owner(self) -> str:
        return str(json.loads((self.folder / "data" / "owner.json").read_text())["node"])


@pytest.fixture
def nodes(tmp_path: Path, empty_config: Path) -> Nodes:
    return Nodes(tmp_path, empty_config)


def test_serve_refuses_a_store_of_another_database_and_says_what_to_do(nodes: Nodes) -> None:
    image = nodes.fill()
    done = nodes("second", "serve", "--role", "receive", "--port", "0")
    assert done.returncode == 2
    assert nodes.owner() in done.stderr
    assert "remove each other's images" in done.stderr
    assert "echo-node storage adopt" in done.stderr
    assert image.is_file()


def test_show_tells_both_ids_and_adopt_asks_before_it_takes(nodes: Nodes) -> None:
    nodes.fill()
    owner = nodes.owner()
    mine = nodes("first", "storage", "show", "--json")
    assert (mine.returncode, json.loads(mine.stdout)["standing"]) == (0, "ours")
    other = nodes("second", "storage", "show")
    assert other.returncode == 1
    assert owner in other.stdout
    asked = nodes("second", "storage", "adopt", answer="n\n")
    assert (asked.returncode, nodes.owner()) == (1, owner)
    assert "does not name 1 of the images and drafts" in asked.stdout
    assert owner in asked.stdout
    wrong = nodes("second", "storage", "adopt", "--from", "another")
    assert (wrong.returncode, nodes.owner()) == (1, owner)
    taken = nodes("second", "storage", "adopt", answer="y\n")
    assert taken.returncode == 0, taken.stderr
    assert nodes.owner() in taken.stdout
    assert nodes.owner() != owner
    assert json.loads(nodes("second", "storage", "show", "--json").stdout)["standing"] == "ours"
    assert "adopted again" in nodes("second", "storage", "adopt", answer="n\n").stdout
    assert nodes("first", "storage", "show").returncode == 1


def test_orphans_are_listed_and_removed_on_request(nodes: Nodes) -> None:
    image = nodes.fill()
    with nodes.open("first") as storage:
        lost = nodes.folder / "data" / storage.outbox.put(document(9, 1))
    long_ago = time.time() - 7200
    for path in (image, lost):
        os.utime(path, (long_ago, long_ago))
    assert json.loads(nodes("first", "storage", "orphans", "--json").stdout) == [str(lost)]
    assert nodes("second", "storage", "orphans", "--remove", "--yes").returncode == 2
    assert nodes("first", "storage", "orphans", "--remove", answer="n\n").returncode == 1
    assert lost.is_file()
    assert "Files removed: 1." in nodes("first", "storage", "orphans", "--remove", "--yes").stdout
    assert (image.is_file(), lost.is_file()) == (True, False)


def test_restore_refuses_the_store_of_the_node_until_it_is_told_that_it_is_gone(nodes: Nodes) -> None:
    nodes.fill()
    owner = nodes.owner()
    nodes("first", "backup", "safe")
    refused = nodes("second", "restore", "safe")
    assert refused.returncode == 2
    assert f"--take-over {owner}" in refused.stderr
    assert nodes.owner() == owner
    done = nodes("second", "restore", "safe", "--take-over", owner)
    assert done.returncode == 0, done.stderr
    assert nodes.owner() in done.stdout
    assert owner in done.stdout
    assert nodes.owner() != owner


def test_a_restored_copy_says_that_it_is_a_node_of_its_own(nodes: Nodes) -> None:
    nodes.fill()
    nodes("first", "backup", "safe")
    done = echo_node("restore", "safe", "--data-dir", "again", "--json", cwd=nodes.folder)
    said = json.loads(done.stdout)
    assert said["backed_up_node"] == nodes.owner()
    assert said["node"] == json.loads((nodes.folder / "again" / "owner.json").read_text())["node"]
    assert said["node"] != said["backed_up_node"]
