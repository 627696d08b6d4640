"""Killed training resumes to the weights of an undisturbed run, bit for bit, in every stage."""

import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import tiny_recipes
from support.small_checkpoint import write_checkpoint
from support.training_runs import Launcher, finish, kill_after, start

from training.loop.record import read_metrics


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "launcher"),
    [
        pytest.param("dcd", Launcher.ALONE, id="dcd"),
        pytest.param("vision", Launcher.ALONE, id="vision", marks=pytest.mark.long),
        pytest.param("ar", Launcher.ALONE, id="ar", marks=pytest.mark.long),
        # Fresh interpreters have other hash seeds each time.
        pytest.param("rad", Launcher.FRESH, id="rad", marks=pytest.mark.long),
    ],
)
def test_a_killed_run_goes_on_to_the_same_weights(stage: str, launcher: Launcher, tmp_path: Path) -> None:
    origin = write_checkpoint(tmp_path / "start", block_length=4, side=140)
    recipe, whole, out = tmp_path / "tiny.toml", tmp_path / "whole", tmp_path / "broken"
    recipe.write_text({"dcd": tiny_recipes.dcd(origin), **tiny_recipes.FROM_NOTHING}[stage])
    finish(start(stage, recipe, whole, launcher=launcher))
    for updates in (1, 3):  # before the first state is saved, and behind it
        kill_after(updates, start(stage, recipe, out, launcher=launcher), out)
        assert not (out / "model.safetensors").exists()
    assert (out / "state.pt").is_file()
    finish(start(stage, recipe, out, launcher=launcher))
    expected, found = load_file(whole / "model.safetensors"), load_file(out / "model.safetensors")
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert [row["step"] for row in read_metrics(out)] == [1, 2, 3, 4, 5, 6]
    losses = [[row["loss"] for row in read_metrics(folder)] for folder in (whole, out)]
    assert losses[0] == losses[1]
    assert min(losses[0]) > 0
    assert not (out / "state.pt").exists()
    assert "<svg" in (out / "training.svg").read_text()


def _small_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


@pytest.mark.slow
def test_a_full_disk_stops_a_run_cleanly_and_it_goes_on_when_there_is_space(tmp_path: Path) -> None:
    recipe, out = tmp_path / "tiny.toml", tmp_path / "out"
    recipe.write_text(tiny_recipes.AR)
    code, errors = start("ar", recipe, out, before=_small_disk).wait()
    assert code == 1
    assert "cannot write" in errors
    assert "run the same command again" in errors
    assert "defect" not in errors
    finish(start("ar", recipe, out))
    assert [row["step"] for row in read_metrics(out)] == [1, 2, 3, 4, 5, 6]
