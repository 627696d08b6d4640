"""Optimisers: AdamW alone, or Muon for the matrices of the layers and AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from training.distributed import Distributed
from training.loop.muon import Muon
from training.recipe import OptimiserRecipe

_LAYER_PARTS = (".layers.", ".blocks.", ".merger.")


def make_optimizers(
    learner: nn.Module, recipe: OptimiserRecipe, distributed: Distributed
) -> list[torch.optim.Optimizer]:
    """Return the optimisers, which together cover all trainable parameters of *learner*."""
    trained = {name: p for name, p in learner.named_parameters() if p.requires_grad}
    hidden = {name: p for name, p in trained.items() if recipe.muon and _is_layer_matrix(name, p)}
    optimizers: list[torch.optim.Optimizer] = [
        _adamw((p for n, p in trained.items() if n not in hidden), recipe)
    ]
    if hidden:
        optimizers.append(
            Muon(hidden.values(), recipe.learning_rate, recipe.weight_decay, distributed.share_out)
        )
    return optimizers


def _is_layer_matrix(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim == 2 and any(part in name for part in _LAYER_PARTS)


def _adamw(parameters: Iterable[nn.Parameter], recipe: OptimiserRecipe) -> torch.optim.AdamW:
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))
