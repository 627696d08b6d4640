"""The wheel, installed outside the checkout and run from an empty folder, has all its files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from training.phantom.dicom_study import write_study

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow

Command = Callable[..., str]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("ECHO_NODE_")}
    done = subprocess.run(
        command, cwd=cwd, env=clean | environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    python = Path(sys.executable)
    run(python, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    run(
        python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel,
        cwd=folder,
    )  # fmt: skip
    return target


@pytest.fixture
def echo_node(installed: Path, tmp_path: Path) -> Command:
    """Runs the installed command in an empty folder, with the wheel first on its path."""

    def call(*arguments: str | Path) -> str:
        program = installed / "bin" / "echo-node"
        return run(sys.executable, program, *arguments, cwd=tmp_path, PYTHONPATH=str(installed))

    return call


def test_nothing_of_the_checkout_is_used(installed: Path, tmp_path: Path) -> None:
    code = (
        "import echo_node, training\n"
        "from echo_node.resources import packaged_folder\n"
        "print(echo_node.__file__, training.__file__)\n"
        "print(packaged_folder('alembic'), packaged_folder('dicom_config'))"
    )
    places = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed)).split()
    assert len(places) == 4
    assert [place for place in places if not place.startswith(str(installed))] == []


def test_nothing_is_installed_beside_the_packages(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"bin", "echo_node", "training"}


def test_config_show(echo_node: Command, tmp_path: Path) -> None:
    shown = json.loads(echo_node("config", "show", "--json"))
    assert shown["settings"]["node.port"]["value"] == 11112
    assert list(tmp_path.iterdir()) == []


def test_config_init(echo_node: Command, tmp_path: Path) -> None:
    echo_node("config", "init", "here")
    echo_node("config", "check", "--config", "here")
    assert (tmp_path / "here" / "node.toml").is_file()


def test_db_upgrade(echo_node: Command) -> None:
    made = json.loads(echo_node("db", "upgrade", "--data-dir", "data", "--json"))
    assert made["current"] == made["latest"]


def test_report_with_the_shipped_model(echo_node: Command, tmp_path: Path) -> None:
    (image,) = write_study(tmp_path, seed=1, views=["PA"], size=512)
    draft = json.loads(echo_node("report", image, "--sr", "draft.dcm", "--json"))
    assert draft["findings"]
    assert draft["skipped"] is None
    assert draft["tokens_per_forward"] > 1
    assert (tmp_path / "draft.dcm").read_bytes()[128:132] == b"DICM"
