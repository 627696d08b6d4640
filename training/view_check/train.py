"""Trains the view check: minutes on one core, the same weights for the same recipe on the same machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from echo_node.domain.studies.appearance import Appearance
from training.view_check.jitter import drawn
from training.view_check.network import ViewNetwork
from training.view_check.pictures import Pictures

SURE = {
    Appearance.FRONTAL: 0.995,
    Appearance.MIRRORED: 0.995,
    Appearance.UPSIDE_DOWN: 0.999,
    Appearance.SIDEWAYS: 0.999,
    Appearance.INVERTED: 0.999,
    Appearance.LATERAL: 0.999,
    Appearance.NO_CHEST: 0.999,
}
"""How likely a class must be to be named.

Of those that refuse, so likely that no good image is lost; frontal, so likely that a mirrored one is hardly
taken for it where no header says how it lies.
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the shipped check was made.

    Attributes:
        seed: of pictures, jitter and weights.
        frontal: how many phantoms from the front.
        lateral: how many from the side.
        others: how many pictures that are no chest.
        updates: of the weights.
        batch: examples in an update.
        learning_rate: at its height.
    """

    seed: int = 21
    frontal: int = 2400
    lateral: int = 800
    others: int = 1320
    updates: int = 2500
    batch: int = 128
    learning_rate: float = 2e-3


def train(recipe: Recipe, pictures: Pictures, note: Callable[[int, float], None]) -> ViewNetwork:
    """Return a trained network; *note* gets each update's number and loss."""
    torch.manual_seed(recipe.seed)
    network = ViewNetwork().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.updates, pct_start=0.1
    )
    for step in range(recipe.updates):
        examples = drawn(pictures, recipe.batch, np.random.default_rng([recipe.seed, 2, step]))
        loss = functional.cross_entropy(network(examples.inputs), torch.from_numpy(examples.classes))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        note(step, loss.item())
    return network.eval()
