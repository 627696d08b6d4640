"""Estimate of a run, and the shipped recipes, which must all be valid."""

from pathlib import Path

import pytest
from support import tiny_recipes
from support.small_checkpoint import write_checkpoint

from echo_node.errors import CheckpointError
from echo_node.model import checkpoint
from training.loop.estimate import estimate
from training.loop.sharding import needs_whole_network
from training.recipe import SHIPPED, Recipe, load_recipe


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.toml")))
def test_every_shipped_recipe_can_be_read_and_starts_with_its_own_command(name: str) -> None:
    plan = load_recipe(name, [])
    text = (SHIPPED / f"{name}.toml").read_text()
    assert f"train {plan.stage} --recipe {name} --out runs/{name}" in text
    if "torchrun" in text:
        assert not needs_whole_network(plan)
        assert plan.optimiser.batch % 8 == 0


def _plan(tmp_path: Path, *overrides: str, stage: str = "ar") -> Recipe:
    folder = tmp_path / "start"
    if not folder.exists():
        write_checkpoint(folder, block_length=4, side=140)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipes.dcd(folder))
    return load_recipe(str(recipe), [f"stage={stage}", "optimiser.train_vision=false", *overrides])


def test_the_parameters_are_those_of_the_model(tmp_path: Path) -> None:
    found = estimate(_plan(tmp_path), 1)
    model = checkpoint.load(str(tmp_path / "start")).model
    vision = sum(p.numel() for p in model.model.visual.parameters())
    assert found["parameters"] == sum(p.numel() for p in model.parameters())
    assert found["trained_parameters"] == found["parameters"] - vision
    assert found["weights"] == 4 * found["parameters"]
    assert found["tokens_of_an_update"] == 4 * ((140 // 28) ** 2 + 45 + 160)


def test_what_saves_memory_is_seen_to_save_it(tmp_path: Path) -> None:
    plain = estimate(_plan(tmp_path), 1)
    spread = estimate(_plan(tmp_path), 4)
    lora = estimate(_plan(tmp_path, "lora.rank=2", "hardware.precision=bfloat16"), 1)
    checkpointed = estimate(_plan(tmp_path, "hardware.gradient_checkpointing=true"), 1)
    small = estimate(_plan(tmp_path, "hardware.micro_batch=1"), 1)
    distilled = estimate(_plan(tmp_path, stage="dcd"), 1)
    assert spread["gradients_and_moments"] == plain["gradients_and_moments"] / 4
    assert lora["trained_parameters"] < plain["trained_parameters"] / 4
    assert lora["weights"] < plain["weights"]
    assert checkpointed["inner_values"] < plain["inner_values"]
    assert small["inner_values"] < plain["inner_values"]
    assert distilled["teacher"] == 4 * distilled["parameters"]


def test_a_start_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no model 'nowhere'"):
        estimate(_plan(tmp_path, "model.start=nowhere"), 1)


@pytest.mark.parametrize("override", ["optimiser.muon=true", "lora.rank=4", "dcd.prefix=student"])
def test_what_needs_the_whole_network_is_copied_to_several_processes(tmp_path: Path, override: str) -> None:
    plan = _plan(tmp_path, override, stage="dcd")
    assert needs_whole_network(plan)
    assert estimate(plan, 4)["gradients_and_moments"] == estimate(plan, 1)["gradients_and_moments"]
