"""Inputs of an update: recipes, order of examples, learning rates, optimisers."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.tiny_recipes import RAD, dcd
from torch import nn

from echo_node.errors import ConfigError
from echo_node.model import checkpoint
from training.distributed import Distributed
from training.examples.examples import batch_indices
from training.loop.optimiser import make_optimizers
from training.loop.run import run_stage
from training.loop.train import learning_rate
from training.recipe import OptimiserRecipe, load_recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RAD)
    return path


@pytest.mark.slow
def test_a_new_network_can_take_the_vision_tower_of_another(tmp_path: Path, recipe: Path) -> None:
    first = run_stage("rad", str(recipe), tmp_path / "first")
    frozen = ["optimiser.train_vision=false", "optimiser.steps=1", "optimiser.seed=5"]
    second = run_stage("rad", str(recipe), tmp_path / "second", [f"model.start_vision='{first}'", *frozen])
    towers = [checkpoint.load(str(folder)).model.model.visual.state_dict() for folder in (first, second)]
    assert all(torch.equal(a, b) for a, b in zip(towers[0].values(), towers[1].values(), strict=True))
    words = [checkpoint.load(str(folder)).model.lm_head.weight for folder in (first, second)]
    assert not torch.equal(*words)
    with pytest.raises(ConfigError, match="other dimensions"):
        run_stage(
            "rad",
            str(recipe),
            tmp_path / "third",
            [f"model.start_vision='{first}'", "model.new.vision_feed_forward=48"],
        )


@pytest.mark.slow
def test_a_share_of_the_start_is_averaged_into_the_result(tmp_path: Path, recipe: Path) -> None:
    start = run_stage("rad", str(recipe), tmp_path / "start")
    again = [f"model.start='{start}'", "optimiser.steps=2"]
    learnt = run_stage("rad", str(recipe), tmp_path / "learnt", again)
    mixed = run_stage("rad", str(recipe), tmp_path / "mixed", [*again, "model.start_share=0.25"])
    origin, end, found = (load_file(folder / "model.safetensors") for folder in (start, learnt, mixed))
    assert any(not torch.equal(origin[name], end[name]) for name in origin)
    for name in origin:
        expected = 0.25 * origin[name].float() + 0.75 * end[name].float()
        torch.testing.assert_close(found[name].float(), expected, atol=1e-4, rtol=2e-3)
    with pytest.raises(ConfigError, match="start_share needs a checkpoint to average with"):
        load_recipe(str(recipe), ["model.start_share=0.5"])


@pytest.mark.slow
def test_rad_teaches_blocks_of_another_length_and_dcd_does_not(tmp_path: Path, recipe: Path) -> None:
    start = run_stage("rad", str(recipe), tmp_path / "start")
    other = [f"model.start='{start}'", "model.block_length=8", "optimiser.steps=1"]
    changed = checkpoint.load(str(run_stage("rad", str(recipe), tmp_path / "other", other)))
    assert changed.model.config.block_length == 8
    (tmp_path / "dcd.toml").write_text(dcd(start))
    with pytest.raises(ConfigError, match=r"is 8, but .* has 4: only the stage rad can"):
        run_stage("dcd", str(tmp_path / "dcd.toml"), tmp_path / "student", ["model.block_length=8"])


def test_muon_gets_the_matrices_of_the_layers_and_adamw_the_rest() -> None:
    matrix = nn.Linear(4, 4)
    learner = nn.ModuleDict({"layers": nn.ModuleList([matrix]), "lm_head": nn.Linear(4, 8)})
    recipe = OptimiserRecipe(steps=1, batch=1, learning_rate=1e-3, muon=True)
    adamw, muon = make_optimizers(
        nn.ModuleDict({"model": learner}), recipe, Distributed(0, 1, torch.device("cpu"))
    )
    assert isinstance(muon, torch.optim.Muon)
    assert muon.param_groups[0]["params"] == [matrix.weight]
    rest = {id(p) for group in adamw.param_groups for p in group["params"]}
    assert rest == {id(p) for p in learner.parameters()} - {id(matrix.weight)}


def test_learning_rate_warms_up_and_falls_to_its_final_fraction() -> None:
    recipe = OptimiserRecipe(steps=100, batch=1, learning_rate=1.0, warmup_steps=10, final_fraction=0.1)
    rates = [learning_rate(recipe, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_every_example_comes_once_an_epoch() -> None:
    seen = [i for step in range(5) for i in batch_indices(20, 4, step, seed=1)[0]]
    assert sorted(seen) == list(range(20))
    assert batch_indices(20, 4, 5, seed=1)[1] == 1
    assert batch_indices(20, 4, 7, seed=1) == batch_indices(20, 4, 7, seed=1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimiser.stepps=3", "optimiser.stepps"),
        ("optimiser.steps=-3", "optimiser.steps"),
        ("optimiser", "section.name=value"),
        ("hardware.keep_vision=disk", "data.jitter = false"),
        ("dcd.cache=true", "data.jitter = false"),
        ("hardware.row_tokens=99", "one example per row"),
        ("validation={count=4, seed=3}", "held out"),
    ],
)
def test_a_wrong_recipe_names_the_key(recipe: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe(str(recipe), [override])


def test_an_unknown_recipe_tells_which_there_are() -> None:
    with pytest.raises(ConfigError, match="small-rad"):
        load_recipe("no-such-recipe", [])


def test_a_recipe_of_another_stage_is_refused(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is for the stage 'rad'"):
        run_stage("dcd", str(recipe), tmp_path / "out")
