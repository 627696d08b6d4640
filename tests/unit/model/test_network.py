"""The network computes the same values as transformers, where its code differs."""

import torch
from support.small_model import make_model, prompt_inputs
from torch.nn.functional import conv3d


def test_patches_are_projected_as_the_convolution_does_it() -> None:
    embed = make_model(4).model.visual.patch_embed
    _, patches = prompt_inputs(2, 3, seed=5)
    weight = embed.proj.weight
    expected = conv3d(patches.view(-1, *weight.shape[1:]), weight, stride=weight.shape[2:]).flatten(1)
    torch.testing.assert_close(embed(patches), expected, atol=1e-5, rtol=1e-5)
    half = make_model(4).bfloat16().model.visual.patch_embed
    assert half(patches).dtype == torch.bfloat16
