"""Training of the view check: minutes on one core, and reproducible on one machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from echo_node.domain.studies.appearance import Appearance
from echo_node.inference.view_check import KNOWN
from training.view_check.images import ImagePools, PoolSizes
from training.view_check.jitter import random_examples
from training.view_check.network import ViewNetwork

SURE = {
    **dict.fromkeys(KNOWN, 0.5),
    Appearance.FRONTAL: 0.9,
    Appearance.MIRRORED: 0.99,
}
"""Minimum probability of each class for the check to name it.

The zone, not the class, decides whether an image is read. The remark that an image looks mirrored
alarms the reader, and a mirrored image must hardly ever be called frontal: both need more.
"""

_COUNTS = PoolSizes(frontal=3200, lateral=1000, oblique=1200, decubitus=900, others=1100)


@dataclass(frozen=True, slots=True)
class ViewCheckRecipe:
    """Training recipe of the view check; the defaults made the shipped weights.

    Attributes:
        seed: random seed of images, jitter and weights.
        counts: number of images of each pool.
        updates: number of training updates.
        batch: examples per update.
        learning_rate: peak learning rate.
    """

    seed: int = 21
    counts: PoolSizes = _COUNTS
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
