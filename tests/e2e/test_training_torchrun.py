"""Two processes under torchrun learn what one learns."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import tiny_recipes
from support.console import ENVIRONMENT
from support.small_checkpoint import write_checkpoint

from training.record import figures_of

_TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
_VALIDATION = "validation={count=4, seed=9, every=3, patience=5}"


def _train(stage: str, recipe: Path, out: Path, launcher: list[str]) -> None:
    arguments = ["train", stage, "--recipe", recipe, "--out", out, "--set", _VALIDATION]
    done = subprocess.run(
        [*launcher, "-m", "echo_node", *map(str, arguments)],
        env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["rad", "dcd"])
def test_two_processes_give_the_losses_and_weights_of_one(stage: str, tmp_path: Path) -> None:
    start = write_checkpoint(tmp_path / "start", block_length=4, side=140)
    recipe = tmp_path / "tiny.toml"
    text = {"rad": tiny_recipes.RAD, "dcd": tiny_recipes.dcd(start)}[stage]
    recipe.write_text(text.replace("prefix = 'student'", ""))
    _train(stage, recipe, tmp_path / "one", [sys.executable])
    _train(stage, recipe, tmp_path / "two", _TORCHRUN)
    one, two = figures_of(tmp_path / "one"), figures_of(tmp_path / "two")
    assert len(one) == len(two) == 6
    for name in ("loss", "gradient_norm", "tokens"):
        assert [row[name] for row in two] == pytest.approx([row[name] for row in one], rel=1e-5, abs=1e-5)
    assert [row["validation_loss"] for row in two if "validation_loss" in row] == pytest.approx(
        [row["validation_loss"] for row in one if "validation_loss" in row], abs=1e-5
    )
    expected, found = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name].float(), weight.float(), atol=2e-3, rtol=1e-2, msg=name)
