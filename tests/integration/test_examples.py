"""The programs of examples/ do what their first lines say."""

from __future__ import annotations

import ast
import runpy
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image
from support import tiny_recipes
from support.serving import ServedNode, eventually

import echo_node
import training
from echo_node.domain.drafts.draft import DRAFT_NOTICE
from training.datasets.shards import load_facts
from training.loop.record import read_metrics
from training.phantom.dicom_study import write_study

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run an example as a program; return its exit code."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    try:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"), seed=1)[0]


@pytest.fixture(scope="module")
def destination_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, destination_port: int) -> Iterator[ServedNode]:
    folder = tmp_path_factory.mktemp("node")
    (folder / "node.toml").write_text('[delivery]\ndestinations = ["example"]\n')
    (folder / "peers.toml").write_text(
        f'[example]\nae_title = "EXAMPLE"\nhost = "127.0.0.1"\nport = {destination_port}\n'
    )
    with ServedNode(folder, "--config", str(folder), "--study-idle", "1") as served:
        yield served.start("receive", "infer", "deliver", "web")


def test_each_is_listed_and_uses_public_names_only() -> None:
    page = (EXAMPLES / "README.md").read_text()
    public = {"echo_node": set(echo_node.__all__), "training": set(training.__all__)}
    for path in EXAMPLES.glob("*.py"):
        assert f"`{path.name}`" in page
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in public:
                assert {alias.name for alias in node.names} <= public[node.module], path.name


@pytest.mark.parametrize("package", [echo_node, training])
def test_every_public_name_exists(package: ModuleType) -> None:
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_an_image_becomes_text(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("draft_in_ten_lines.py", image, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.startswith("Findings: ")


def test_a_form_of_ones_own_says_that_it_is_a_draft(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("markdown_form.py", image, monkeypatch=monkeypatch) == 0
    page = capsys.readouterr().out
    assert DRAFT_NOTICE in page
    assert "## Findings" in page
    assert "## Impressions" in page


def test_a_layout_of_ones_own_becomes_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for number in range(2):
        picture = Image.radial_gradient("L").rotate(30 * number).resize((160, 160))
        picture.save(source / f"{number}.png")
        (source / f"{number}.txt").write_text(f"The heart is enlarged ({number}).\n\nCardiomegaly.")
    (source / "lost.txt").write_text("No image beside it.")
    assert run("own_data_set.py", source, out, monkeypatch=monkeypatch) == 0
    assert "row 3" in (out / "rejected.jsonl").read_text()
    assert load_facts(out).name == "My data set"


def test_an_objective_of_ones_own_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, out = tmp_path / "recipe.toml", tmp_path / "out"
    recipe.write_text(tiny_recipes.AR)
    assert run("own_objective.py", recipe, out, monkeypatch=monkeypatch) == 0
    losses = [row["loss"] for row in read_metrics(out)]
    assert losses[-1] < losses[0]
    assert (out / "model.safetensors").is_file()


@pytest.mark.slow
def test_a_study_is_pushed_and_its_draft_fetched(
    node: ServedNode,
    destination_port: int,
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [image, "--node", f"127.0.0.1:{node.port}", "--listen", destination_port]
    assert run("push_and_fetch.py", *arguments, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "FINDINGS" in printed
    assert DRAFT_NOTICE in printed
    eventually(lambda: node.studies() == {"delivered": 1}, f"delivered: {node.log}")


@pytest.mark.slow
def test_a_node_is_watched(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (ready,) = [each for each in node.events() if each["event"] == "role_ready" and each["role"] == "web"]
    address = f"http://127.0.0.1:{ready['port']}"
    assert run("watch_node.py", address, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "health: 200" in printed
    assert "studies delivered:" in printed
