"""Snapshot of a run as plain tensors, the same for one process and for many.

It contains trained weights only. Frozen weights come from the start of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map


def trained(learner: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters with a gradient, by name; a shared parameter occurs once."""
    return {name: p for name, p in learner.named_parameters() if p.requires_grad}


def weights_of(learner: nn.Module) -> dict[str, Tensor]:
    """Return the trained weights, gathered on the CPU; all processes must call this."""
    return {name: _whole(p) for name, p in trained(learner).items()}


def optimizer_states(optimizers: Sequence[torch.optim.Optimizer]) -> list[dict[str, Any]]:
    """Return the states of optimisers, gathered on the CPU; all processes must call this."""
    states: list[dict[str, Any]] = [tree_map(_whole, optimizer.state_dict()) for optimizer in optimizers]
    return states


@torch.no_grad()
def load_weights(learner: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load the weights that `weights_of` returned.

    Raises:
        KeyError: a trained parameter has no weights.
    """
    for name, parameter in trained(learner).items():
        parameter.copy_(_like(weights[name], parameter))


def load_optimizers(optimizers: Sequence[torch.optim.Optimizer], states: Sequence[dict[str, Any]]) -> None:
    """Load the states that `optimizer_states` returned."""
    for optimizer, state in zip(optimizers, states, strict=True):
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        spread = {
            place: {name: _like(value, parameters[place]) for name, value in saved.items()}
            for place, saved in state["state"].items()
        }
        optimizer.load_state_dict({**state, "state": spread})


def _whole(value: Any) -> Any:
    if isinstance(value, DTensor):
        value = value.full_tensor()
    return value.detach().cpu() if isinstance(value, Tensor) else value


def _like(value: Any, parameter: Tensor) -> Any:
    """Return a tensor in the form of its parameter: this process's shard, if it is sharded."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape or not isinstance(parameter, DTensor):
        return value
    return distribute_tensor(
        value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
    )
