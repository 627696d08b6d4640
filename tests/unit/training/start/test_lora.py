"""Adapters: nothing else is trained, and the merged model equals the adapted one."""

import torch
from support.small_model import make_model, make_prompt

from training.loop.snapshot import trained
from training.objectives.rad import noisy_hidden_states
from training.recipe import LoraRecipe
from training.start.lora import adapt, merge


def test_a_merged_model_is_plain_and_says_what_the_adapted_one_said() -> None:
    model = make_model(4)
    names = set(model.state_dict())
    prompt = make_prompt(model, 2)
    response = torch.full((2, 8), 9)
    with torch.no_grad():
        before = noisy_hidden_states(model, prompt, response, [response])
        adapt(model, LoraRecipe(rank=4))
        torch.testing.assert_close(noisy_hidden_states(model, prompt, response, [response]), before)
        learnt = [p for name, p in trained(model).items() if "lora_B" in name]
        assert len(learnt) == 2 * 7  # layers, matrices of each
        for parameter in learnt:
            parameter.normal_(std=0.1)
        adapted = noisy_hidden_states(model, prompt, response, [response])
        assert not torch.allclose(adapted, before, atol=1e-3)
        merge(model)
        torch.testing.assert_close(
            noisy_hidden_states(model, prompt, response, [response]), adapted, atol=1e-4, rtol=1e-4
        )
    assert set(model.state_dict()) == names


def test_adapters_alone_are_trained_in_float32_over_weights_of_16_bits() -> None:
    model = make_model(4).bfloat16()
    adapt(model, LoraRecipe(rank=2))
    model.model.visual.requires_grad_(requires_grad=False)
    assert all("lora_" in name for name in trained(model))
    assert {p.dtype for p in trained(model).values()} == {torch.float32}
    assert model.lm_head.weight.dtype == torch.bfloat16
