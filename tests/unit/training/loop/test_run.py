"""Runs of a few updates: options that save memory or time do not change the result."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import tiny_recipes
from support.small_checkpoint import write_checkpoint

from echo_node.errors import ConfigError
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from training.examples import examples
from training.loop.record import read_metrics
from training.loop.run import run_stage

_PLAIN = ["data.jitter=false", "optimiser.train_vision=false", "reading.weight=0", "optimiser.steps=3"]
_CONSTANT = ["optimiser.warmup_steps=0", "optimiser.final_fraction=1"]


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipes.RAD)
    return str(path)


def _losses(folder: Path, name: str = "loss") -> list[float]:
    return [row[name] for row in read_metrics(folder) if name in row]


@pytest.mark.slow
def test_an_update_is_the_same_however_it_is_computed(tmp_path: Path, recipe: str) -> None:
    at_once = run_stage("rad", recipe, tmp_path / "at_once", _PLAIN)
    saving = ["micro_batch=3", "row_tokens=300", "gradient_checkpointing=true", "keep_vision=disk"]
    in_parts = run_stage(
        "rad", recipe, tmp_path / "in_parts", [*_PLAIN, *(f"hardware.{each}" for each in saving)]
    )
    for name in ("loss", "gradient_norm", "masked_accuracy"):
        assert _losses(in_parts, name) == pytest.approx(_losses(at_once, name), rel=1e-4, abs=1e-5)
    assert len(list((in_parts / "features").glob("*/*.pt"))) == 8


@pytest.mark.slow
def test_adapters_in_half_precision_leave_a_plain_checkpoint(tmp_path: Path, recipe: str) -> None:
    plain = run_stage("rad", recipe, tmp_path / "plain", _PLAIN)
    adapted = run_stage(
        "rad",
        recipe,
        tmp_path / "adapted",
        [
            *_PLAIN,
            "lora.rank=4",
            "model.stored=bfloat16",
            "hardware.precision=bfloat16",
            "optimiser.learning_rate=0.1",
        ],
    )
    first, second = checkpoint.load(str(plain)).model, checkpoint.load(str(adapted)).model
    assert first.state_dict().keys() == second.state_dict().keys()
    assert _losses(adapted)[0] == pytest.approx(_losses(plain)[0], rel=0.05)
    stored = load_file(adapted / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}


@pytest.mark.slow
def test_a_run_that_gets_worse_stops_and_keeps_its_best_weights(tmp_path: Path, recipe: str) -> None:
    steep = [*_CONSTANT, "reading.weight=0", "optimiser.learning_rate=0.5", "optimiser.clip_norm=1000"]
    watched = [*steep, "validation={count=4, seed=9, every=1, patience=2}", "optimiser.steps=30"]
    stopped = run_stage("rad", recipe, tmp_path / "stopped", watched)
    seen = _losses(stopped, "validation_loss")
    assert len(seen) < 30
    best = seen.index(min(seen)) + 1
    assert len(seen) == best + 2
    until_then = run_stage("rad", recipe, tmp_path / "until_then", [*steep, f"optimiser.steps={best}"])
    expected, found = (load_file(folder / "model.safetensors") for folder in (until_then, stopped))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not (stopped / "best.pt").exists()


@pytest.mark.slow
def test_rad_starts_from_what_ar_left(tmp_path: Path) -> None:
    recipe = tmp_path / "ar.toml"
    recipe.write_text(tiny_recipes.AR)
    parent = run_stage("ar", str(recipe), tmp_path / "parent", ["optimiser.steps=1"])
    text = tiny_recipes.dcd(parent).replace('stage = "dcd"', 'stage = "rad"')
    (tmp_path / "rad.toml").write_text(text)
    overrides = ["optimiser.steps=1", "model.block_length=8"]
    child = run_stage("rad", str(tmp_path / "rad.toml"), tmp_path / "child", overrides)
    assert checkpoint.load(str(child)).model.config.block_length == 8


def test_a_finished_run_stays_and_another_recipe_does_not_write_over_it(tmp_path: Path, recipe: str) -> None:
    brief = ["optimiser.steps=1"]
    out = run_stage("rad", recipe, tmp_path / "out", brief)
    written = (out / "model.safetensors").stat()
    assert run_stage("rad", recipe, out, [*brief, "hardware.micro_batch=2"]) == out
    with pytest.raises(ConfigError, match="has a checkpoint of another recipe"):
        run_stage("rad", recipe, out, ["optimiser.steps=2"])
    after = (out / "model.safetensors").stat()
    assert (after.st_mtime_ns, after.st_ino) == (written.st_mtime_ns, written.st_ino)
    assert len(read_metrics(out)) == 1


def test_the_recipe_says_what_size_a_model_is_taught_and_then_given(tmp_path: Path) -> None:
    origin = write_checkpoint(tmp_path / "start", block_length=4, side=140)
    ImagePreparation(resize="smart").save(origin)
    text = tiny_recipes.dcd(origin).replace('stage = "dcd"', 'stage = "rad"')
    (tmp_path / "rad.toml").write_text(text)
    child = run_stage("rad", str(tmp_path / "rad.toml"), tmp_path / "child", ["optimiser.steps=1"])
    assert ImagePreparation.load(child) == ImagePreparation(resize="square", side=140)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("vision", marks=pytest.mark.long),
        pytest.param("ar", marks=pytest.mark.long),
        "rad",
        "dcd",
    ],
)
def test_every_stage_computes_in_half_precision_what_it_does_in_full(tmp_path: Path, stage: str) -> None:
    parent = tmp_path / "parent"
    if stage == "dcd":
        (tmp_path / "rad.toml").write_text(tiny_recipes.RAD)
        run_stage("rad", str(tmp_path / "rad.toml"), parent, ["optimiser.steps=1"])
    recipe = tmp_path / f"{stage}.toml"
    recipe.write_text(tiny_recipes.dcd(parent) if stage == "dcd" else tiny_recipes.FROM_NOTHING[stage])
    folders = [
        run_stage(
            stage, str(recipe), tmp_path / precision, [f"hardware.precision={precision}", "optimiser.steps=1"]
        )
        for precision in ("float32", "bfloat16")
    ]
    full, half = (_losses(folder)[0] for folder in folders)
    assert full != half
    assert half == pytest.approx(full, rel=0.02)


@pytest.mark.slow
@pytest.mark.usefixtures("rendered_each_time")
def test_pictures_that_an_earlier_run_has_kept_are_not_rendered_again(
    tmp_path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [*_PLAIN, f"hardware.kept_in={tmp_path / 'kept'}"]
    without = run_stage("rad", recipe, tmp_path / "without", _PLAIN)
    first = run_stage("rad", recipe, tmp_path / "first", kept)
    monkeypatch.setattr(examples, "ProcessPoolExecutor", None)
    second = run_stage("rad", recipe, tmp_path / "second", kept)
    assert _losses(without) == _losses(first) == _losses(second)
    fewer = run_stage("rad", recipe, tmp_path / "fewer", [*kept, "data.count=4"])
    assert _losses(fewer)[0] != _losses(first)[0]
    assert len(list((tmp_path / "kept" / "phantoms").iterdir())) == 1
