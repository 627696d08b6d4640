"""Training that is killed goes on to the weights of a run that was not, bit for bit, in every stage."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import tiny_recipes
from support.console import ENVIRONMENT
from support.small_checkpoint import write_checkpoint

from training.record import figures_of

_ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def _start(
    stage: str, recipe: Path, out: Path, before: Callable[[], None] | None = None
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "echo_node", "train", stage, "--recipe", str(recipe), "--out", str(out)],
        env=ENVIRONMENT | _ONE_THREAD,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=before,
    )


def _finish(process: "subprocess.Popen[str]") -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def _kill_after(updates: int, process: "subprocess.Popen[str]", out: Path) -> None:
    """Kill a run as soon as it has told of so many updates."""
    while process.poll() is None and len(figures_of(out)) < updates:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _small_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


@pytest.mark.slow
def test_a_full_disk_stops_a_run_cleanly_and_it_goes_on_when_there_is_space(tmp_path: Path) -> None:
    recipe, out = tmp_path / "tiny.toml", tmp_path / "out"
    recipe.write_text(tiny_recipes.AR)
    stopped = _start("ar", recipe, out, before=_small_disk)
    _, errors = stopped.communicate(timeout=300)
    assert stopped.returncode == 1
    assert "could not be written" in errors
    assert "run the same command again" in errors
    assert "defect" not in errors
    _finish(_start("ar", recipe, out))
    assert [row["step"] for row in figures_of(out)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["vision", "ar", "rad", "dcd"])
def test_a_killed_run_goes_on_to_the_same_weights(stage: str, tmp_path: Path) -> None:
    start = write_checkpoint(tmp_path / "start", block_length=4, side=140)
    recipe, whole, out = tmp_path / "tiny.toml", tmp_path / "whole", tmp_path / "broken"
    recipe.write_text({"dcd": tiny_recipes.dcd(start), **tiny_recipes.FROM_NOTHING}[stage])
    _finish(_start(stage, recipe, whole))
    for updates in (1, 3):  # before the first state is saved, and behind it
        _kill_after(updates, _start(stage, recipe, out), out)
        assert not (out / "model.safetensors").exists()
    assert (out / "state.pt").is_file()
    _finish(_start(stage, recipe, out))
    expected, found = load_file(whole / "model.safetensors"), load_file(out / "model.safetensors")
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert [row["step"] for row in figures_of(out)] == [1, 2, 3, 4, 5, 6]
    losses = [[row["loss"] for row in figures_of(folder)] for folder in (whole, out)]
    assert losses[0] == losses[1]
    assert not (out / "state.pt").exists()
    assert "<svg" in (out / "training.svg").read_text()
