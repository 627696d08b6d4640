"""Muon in float32 equals PyTorch's, except for rounding."""

import torch
from torch import nn

from training.distributed import Distributed
from training.loop.muon import Muon, orthogonalised


def _matrices() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 8), (12, 6), (6, 12), (8, 8)]
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def _after(optimiser: torch.optim.Optimizer, matrices: list[nn.Parameter]) -> list[torch.Tensor]:
    for step in range(3):
        for number, matrix in enumerate(matrices[:3]):  # the last one never gets a gradient
            generator = torch.Generator().manual_seed(10 * step + number)
            matrix.grad = torch.randn(matrix.shape, generator=generator)
        optimiser.step()
    return [matrix.detach() for matrix in matrices]


def test_its_steps_are_those_of_pytorch() -> None:
    ours, theirs = _matrices(), _matrices()
    found = _after(Muon(ours, 0.1, 0.05, Distributed(0, 1, torch.device("cpu")).share_out), ours)
    expected = _after(
        torch.optim.Muon(theirs, lr=0.1, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"), theirs
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=0.02, rtol=0.02)  # PyTorch orthogonalises in bfloat16
    assert torch.equal(found[3], _matrices()[3])


def test_singular_values_come_near_one() -> None:
    matrices = torch.randn(5, 30, 12, generator=torch.Generator().manual_seed(2))
    values = torch.linalg.svdvals(orthogonalised(matrices, (3.4445, -4.7750, 2.0315), 5, 1e-7))
    assert values.min() > 0.6
    assert values.max() < 1.3
