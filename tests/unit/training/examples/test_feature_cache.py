"""Feature cache: the tower's own output, computed only once."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.small_model import make_model, prompt_inputs

from echo_node.model.report_generation import EchoForReportGeneration
from training.examples.collate import Batch
from training.examples.feature_cache import FeatureCache


def _batch(seed: int = 1) -> Batch:
    prompts, pixels = prompt_inputs(2, 3, seed)
    nothing = torch.empty(3, 0, dtype=torch.long)
    return Batch(prompts, pixels, torch.tensor([[1, 4, 4]] * 3), nothing, nothing.bool(), nothing)


def _blind(model: EchoForReportGeneration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "get_image_features", None)


@pytest.mark.parametrize("on_disk", [True, False])
def test_kept_features_are_the_tower_s_and_spare_it_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, on_disk: bool
) -> None:
    model, batch = make_model(4), _batch()
    expected = batch.embed(model).embeds_NPD
    features = FeatureCache(model, "data", tmp_path if on_disk else None)
    torch.testing.assert_close(features.add_to(batch, [7, 8, 9]).embed(model).embeds_NPD, expected)
    if on_disk:
        features = FeatureCache(model, "data", tmp_path)
    _blind(model, monkeypatch)
    turned = replace(batch, prompt_NP=batch.prompt_NP.flip(0))
    again = features.add_to(turned, [9, 8, 7]).embed(model).embeds_NPD
    torch.testing.assert_close(again, expected.flip(0))


def test_features_of_another_tower_are_not_taken(tmp_path: Path) -> None:
    first, second = make_model(4), make_model(4, seed=9)
    FeatureCache(first, "data", tmp_path).add_to(_batch(), [0, 1, 2])
    kept = FeatureCache(second, "data", tmp_path).add_to(_batch(), [0, 1, 2])
    torch.testing.assert_close(kept.embed(second).embeds_NPD, _batch().embed(second).embeds_NPD)
    assert len(list(tmp_path.iterdir())) == 2
