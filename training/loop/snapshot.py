"""What a run has learnt, as plain tensors: the same from one process and from many.

Only what is trained is in it; frozen weights come from where the run started.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map


def trained(learner: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that want a gradient, by name; a shared one once."""
    return {name: p for name, p in learner.named_parameters() if p.requires_grad}


def weights_of(learner: nn.Module) -> dict[str, Tensor]:
    """Return what is trained, gathered to the CPU; all processes must call it."""
    return {name: _whole(p) for name, p in trained(learner).items()}


def optimizer_states(optimizers: Sequence[torch.optim.Optimizer]) -> list[dict[str, Any]]:
    """Return the states of optimisers, gathered to the CPU; all processes must call it."""
    states: list[dict[str, Any]] = [tree_map(_whole, optimizer.state_dict()) for optimizer in optimizers]
    return states


@torch.no_grad()
def load_weights(learner: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put weights where `weights_of` found them.

    Raises:
        KeyError: there is none for a parameter that is trained.
    """
    for name, parameter in trained(learner).items():
        parameter.copy_(_like(weights[name], parameter))


def load_optimizers(optimizers: Sequence[torch.optim.Optimizer], states: Sequence[dict[str, Any]]) -> None:
    """Put the states of optimisers where `optimizer_states` found them."""
    for optimizer, state in zip(optimizers, states, strict=True):
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        spread = {
            place: {name: _like(value, parameters[place]) for name, value in kept.items()}
            for place, kept in state["state"].items()
        }
        optimizer.load_state_dict({**state, "state": spread})


def _whole(value: Any) -> Any:
    if isinstance(value, DTensor):
        value = value.full_tensor()
    return value.detach().cpu() if isinstance(value, Tensor) else value


def _like(value: Any, parameter: Tensor) -> Any:
    """Return a whole tensor as its parameter's process needs it: its shard, where the parameter has one."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape or not isinstance(parameter, DTensor):
        return value
    return distribute_tensor(
        value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
    )
