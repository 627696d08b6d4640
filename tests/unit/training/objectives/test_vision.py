"""Vision stage: the tower learns to see the findings, and the probes are discarded."""

import torch
from support.one_update import loss_and_metrics
from support.small_model import make_model

from training.examples.collate import Batch
from training.objectives.vision import VisionObjective


def _batch(count: int) -> Batch:
    """Images of 4 x 4 patches whose brighter half, left or right, is the finding."""
    generator = torch.Generator().manual_seed(0)
    side = torch.randint(0, 2, (count,), generator=generator)
    column = torch.tensor([0, 1, 0, 1, 2, 3, 2, 3]).repeat(2)  # in the order in which patches merge
    bright = (column[None] // 2 == side[:, None]).float()
    pixels = torch.randn((count, 16, 1176), generator=generator) * 0.5 + bright[..., None]
    prompt = torch.tensor([[6, 5, 5, 5, 5, 7, 9, 10]] * count)
    nothing = torch.empty(count, 0, dtype=torch.long)
    grid = torch.tensor([[1, 4, 4]] * count)
    return Batch(prompt, pixels.reshape(-1, 1176), grid, nothing, nothing.bool(), side[:, None])


def test_the_tower_learns_the_findings() -> None:
    model = make_model(8)
    before = model.model.visual.patch_embed.proj.weight.clone()
    objective = VisionObjective(model, tokens=4, values=[2])
    parameters = [*model.parameters(), *objective.own.parameters()]
    optimiser = torch.optim.Adam(parameters, 3e-3)
    batch, metrics = _batch(32), {"places_accuracy": 0.0, "halfway_accuracy": 0.0}
    for _ in range(30):
        loss, metrics = loss_and_metrics(objective, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert metrics["places_accuracy"] > 0.9
    assert metrics["halfway_accuracy"] > 0.9
    assert not torch.equal(before, model.model.visual.patch_embed.proj.weight)
    assert set(model.state_dict()) == set(make_model(8).state_dict())
