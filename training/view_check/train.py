"""Training of the view check: minutes on one core, and reproducible on one machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from echo_node.domain.studies.appearance import Appearance, Zone
from training.view_check.images import ImagePools
from training.view_check.jitter import random_examples
from training.view_check.network import ViewNetwork

SURE = {
    Appearance.FRONTAL: 0.995,
    Appearance.MIRRORED: 0.995,
    Appearance.UPSIDE_DOWN: 0.999,
    Appearance.SIDEWAYS: 0.999,
    Appearance.INVERTED: 0.999,
    Appearance.LATERAL: 0.999,
    Appearance.NO_CHEST: 0.999,
}
"""Minimum probability of each class for the check to answer with it.

For the classes that reject an image, it is high enough to lose no good image. For frontal, it is
high enough that a mirrored image is hardly ever called frontal if no header states its orientation.
"""


LIMITS = {Zone.READ: 0.9, Zone.MARKED: 0.25}
"""Minimum frontal probability of each zone that is read."""


@dataclass(frozen=True, slots=True)
class ViewCheckRecipe:
    """Training recipe of the view check; the defaults made the shipped weights.

    Attributes:
        seed: random seed of images, jitter and weights.
        frontal: number of frontal phantom images.
        lateral: number of lateral phantom images.
        others: number of images that are not chest radiographs.
        updates: number of training updates.
        batch: examples per update.
        learning_rate: peak learning rate.
    """

    seed: int = 21
    frontal: int = 2400
    lateral: int = 800
    others: int = 1320
    updates: int = 2500
    batch: int = 128
    learning_rate: float = 2e-3


def train(recipe: ViewCheckRecipe, pools: ImagePools, note: Callable[[int, float], None]) -> ViewNetwork:
    """Return a trained network; *note* is called with the number and the loss of each update."""
    torch.manual_seed(recipe.seed)
    network = ViewNetwork().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.updates, pct_start=0.1
    )
    for step in range(recipe.updates):
        examples = random_examples(pools, recipe.batch, np.random.default_rng([recipe.seed, 2, step]))
        loss = functional.cross_entropy(network(examples.inputs), torch.from_numpy(examples.classes))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        note(step, loss.item())
    return network.eval()
