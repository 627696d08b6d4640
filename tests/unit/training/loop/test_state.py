"""States on disk: complete or absent, with the previous one; an error names a full disk."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from echo_node.errors import ConfigError, TransientError
from training.loop.state import StateFolder


def _folder(path: Path, notes: list[str] | None = None, recipe: str = "a") -> StateFolder:
    return StateFolder(path, recipe, ([] if notes is None else notes).append)


def test_the_newest_state_is_taken_and_nothing_is_no_state(tmp_path: Path) -> None:
    states = _folder(tmp_path)
    assert states.load() is None
    for step in (1, 2, 3):
        states.save({"step": step, "weights": torch.full((4,), float(step))})
    loaded = states.load()
    assert loaded is not None
    assert loaded["step"] == 3
    assert loaded["weights"].tolist() == [3.0] * 4
    states.clear()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [0, 10, 700])
def test_a_truncated_state_is_passed_over_for_the_one_before(tmp_path: Path, length: int) -> None:
    notes: list[str] = []
    states = _folder(tmp_path, notes)
    states.save({"step": 1, "weights": torch.ones(400)})
    states.save({"step": 2, "weights": torch.ones(400)})
    newest = tmp_path / "state.pt"
    newest.write_bytes(newest.read_bytes()[:length])
    loaded = states.load()
    assert loaded is not None
    assert loaded["step"] == 1
    assert "truncated" in notes[0]


def test_a_kill_between_the_two_renames_leaves_the_one_before(tmp_path: Path) -> None:
    states = _folder(tmp_path)
    states.save({"step": 1})
    (tmp_path / "state.pt").rename(tmp_path / "state.previous.pt")
    loaded = states.load()
    assert loaded is not None
    assert loaded["step"] == 1


def test_states_of_which_none_can_be_read_stop_the_run(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"PK")
    with pytest.raises(ConfigError, match="start from scratch"):
        _folder(tmp_path).load()


def test_a_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    _folder(tmp_path).save({"step": 1})
    with pytest.raises(ConfigError, match="another recipe"):
        _folder(tmp_path, recipe="b").load()


_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from echo_node.errors import TransientError
from training.loop.state import StateFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    StateFolder(Path(sys.argv[1]), "a", print).save({"step": 2, "weights": torch.ones(1_000_000)})
except TransientError as error:
    print(error)
"""


def test_a_full_disk_is_named_and_the_state_before_is_kept(tmp_path: Path) -> None:
    states = _folder(tmp_path)
    states.save({"step": 1})
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    assert "free some space" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
    loaded = states.load()
    assert loaded is not None
    assert loaded["step"] == 1


def test_a_folder_that_vanished_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="No such file"):
        _folder(tmp_path / "gone").save({"step": 1})
