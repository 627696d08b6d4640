"""Two processes under torchrun learn what one learns."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support import tiny_recipes
from support.small_checkpoint import write_checkpoint
from support.training_runs import Launcher, finish, kill_after, start

from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.decoding.decoder import decode, decode_settings
from training.examples.collate import prepare_prompts
from training.loop.record import read_metrics

VALIDATION = "validation={count=4, seed=9, every=3, patience=5}"


@pytest.fixture
def recipes(tmp_path: Path) -> dict[str, Path]:
    origin = _ending(write_checkpoint(tmp_path / "start", block_length=4, side=140))
    texts = {"rad": tiny_recipes.RAD, "dcd": tiny_recipes.dcd(origin).replace("prefix = 'student'", "")}
    for stage, text in texts.items():
        (tmp_path / f"{stage}.toml").write_text(text)
    return {stage: tmp_path / f"{stage}.toml" for stage in texts}


def _ending(folder: Path) -> Path:
    """Make an untrained model end its reports: with the token that it writes most often."""
    loaded = checkpoint.load(str(folder))
    images = np.random.default_rng(0).integers(0, 256, (4, 140, 140), dtype=np.uint8)
    inputs = prepare_prompts(images, ImagePreparation.load(folder), loaded.tokenizer)
    with torch.no_grad():
        prompt = loaded.model.embed_prompt(*inputs)
    drafts = decode(loaded.model, prompt, decode_settings("multi_step", 0.85, 16))
    [(token, _)] = Counter(token for draft in drafts for token in draft.tokens).most_common(1)
    loaded.model.config.text.eos_token_id = token
    loaded.model.save_pretrained(folder)
    return folder


def _assert_same(one: Path, two: Path) -> None:
    for name in ("loss", "gradient_norm", "validation_loss"):
        expected, found = ([r[name] for r in read_metrics(each) if name in r] for each in (one, two))
        assert len(expected) == (2 if name == "validation_loss" else 6)
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)
        assert min(expected) > 0
    weights, others = (load_file(each / "model.safetensors") for each in (one, two))
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(others[name].float(), weight.float(), atol=2e-3, rtol=1e-2, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "changes", "launcher"),
    [
        pytest.param("rad", [], Launcher.TORCHRUN, id="rad-shards"),
        pytest.param("dcd", [], Launcher.PAIR, id="dcd-shards", marks=pytest.mark.long),
        pytest.param(
            "rad",
            ["optimiser.muon=true", "hardware.micro_batch=1"],
            Launcher.PAIR,
            id="rad-copies",
            marks=pytest.mark.long,
        ),
        pytest.param("dcd", ["dcd.prefix=student"], Launcher.PAIR, id="dcd-copies", marks=pytest.mark.long),
    ],
)
def test_two_processes_give_the_losses_and_weights_of_one(
    stage: str, changes: list[str], launcher: Launcher, tmp_path: Path, recipes: dict[str, Path]
) -> None:
    finish(start(stage, recipes[stage], tmp_path / "one", [VALIDATION, *changes]))
    finish(start(stage, recipes[stage], tmp_path / "two", [VALIDATION, *changes], launcher=launcher))
    _assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(Launcher.TORCHRUN, Launcher.ALONE, id="two-then-one", marks=pytest.mark.long),
        pytest.param(Launcher.ALONE, Launcher.PAIR, id="one-then-two"),
    ],
)
def test_a_killed_run_goes_on_with_another_number_of_processes(
    first: Launcher, then: Launcher, tmp_path: Path, recipes: dict[str, Path]
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(start("rad", recipes["rad"], whole, [VALIDATION]))
    kill_after(3, start("rad", recipes["rad"], broken, [VALIDATION], launcher=first), broken)
    assert (broken / "state.pt").is_file()
    finish(start("rad", recipes["rad"], broken, [VALIDATION], launcher=then))
    _assert_same(whole, broken)
