"""Packing changes only where examples are computed."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.one_update import loss_and_metrics
from support.small_model import EOS, make_model, prompt_inputs

from echo_node.model.report_generation import EchoForReportGeneration
from training.examples.collate import Batch, pad_responses
from training.objectives.ar import ArObjective
from training.objectives.dcd import DcdObjective, streamed_targets
from training.objectives.objective import Objective
from training.objectives.packing import rows_of
from training.objectives.rad import RadObjective
from training.recipe import DcdRecipe, RadRecipe

ROW = 90
Made = Callable[[EchoForReportGeneration, int], Objective]


def _ar(model: EchoForReportGeneration, row_tokens: int) -> Objective:
    return ArObjective(model, row_tokens)


def _rad(model: EchoForReportGeneration, row_tokens: int) -> Objective:
    return RadObjective(model, RadRecipe(), row_tokens=row_tokens)


def _dcd(model: EchoForReportGeneration, row_tokens: int) -> Objective:
    teacher, recipe = (
        make_model(4, seed=4),
        DcdRecipe(max_new_tokens=16, rad_weight=0.5, teacher_threshold=0.2),
    )
    with torch.no_grad():
        teacher.lm_head.weight[EOS] *= 2
    return DcdObjective(model, streamed_targets(model, teacher, recipe), recipe, RadRecipe(), row_tokens)


@pytest.mark.parametrize("text_tokens", [2, 3])  # the prompt ends with a block, or within one
@pytest.mark.parametrize("made", [_ar, _rad, _dcd])
def test_packed_examples_give_the_loss_and_gradient_of_unpacked_ones(made: Made, text_tokens: int) -> None:
    prompts, pixels = prompt_inputs(text_tokens, 5, seed=1)
    texts = [[9] * length for length in (3, 17, 30, 1, 8)]
    response, trained = pad_responses(texts, prompts.shape[1], 4, EOS)
    batch = Batch(prompts, pixels, torch.tensor([[1, 4, 4]] * 5), response, trained, torch.empty(5, 0))
    found = []
    for row_tokens in (0, ROW):
        model = make_model(4)
        loss, metrics = loss_and_metrics(made(model, row_tokens), batch)
        loss.backward()
        gradient = model.model.language_model.layers[0].self_attn.q_proj.weight.grad
        found.append((loss.detach(), gradient, metrics))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-4, rtol=1e-4)
    assert found[0][2] == found[1][2]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_every_example_is_in_one_row_and_no_row_of_several_is_too_long(lengths: list[int]) -> None:
    rows = rows_of(lengths, 40)
    assert sorted(n for row in rows for n in row) == list(range(len(lengths)))
    assert all(sum(lengths[n] for n in row) <= 40 for row in rows if len(row) > 1)
