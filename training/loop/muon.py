"""Muon in float32: PyTorch's optimiser, with an orthogonalisation that is fast on every processor.

`torch.optim.Muon` always orthogonalises in bfloat16. On a processor without bfloat16 multiplication
this takes forty times as long as in float32: three quarters of the time of an update in the small
recipes.

Shapes: K matrices of one shape, A rows, B columns.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

ShareOut: TypeAlias = Callable[[Callable[[Tensor], Tensor], Sequence[Tensor]], list[Tensor]]
"""Applies a function to stacks of tensors, possibly on several processes."""


class Muon(torch.optim.Muon):
    """Optimiser that steps along the orthogonalised momentum of whole matrices (K. Jordan 2024).

    Its steps have the size of AdamW's (Moonlight, arXiv 2502.16982), so that both can use the same
    learning rate and weight decay. Matrices of one shape are orthogonalised together. Every process
    has a copy of the matrices, and the processes divide the work.
    """

    def __init__(self, params: Any, lr: float, weight_decay: float, share_out: ShareOut) -> None:
        """Create the optimiser.

        Args:
            params: matrices to train.
            lr: learning rate.
            weight_decay: decoupled weight decay, as in AdamW.
            share_out: function that runs the orthogonalisation (`Distributed.share_out`).

        Raises:
            ValueError: a parameter is not a matrix.
        """
        super().__init__(params, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        self._share_out = share_out

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Run one step with the current gradients; return the result of *closure*."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[matrix.shape].append(matrix)
            directions = [
                torch.stack([self._direction(each, each.grad, group) for each in matrices])
                for matrices in alike.values()
            ]
            orthogonalise = partial(
                orthogonalised,
                coefficients=group["ns_coefficients"],
                steps=group["ns_steps"],
                eps=group["eps"],
            )
            steps = self._share_out(orthogonalise, directions)
            for ((rows, columns), matrices), of_shape in zip(alike.items(), steps, strict=True):
                size = group["lr"] * 0.2 * math.sqrt(max(rows, columns))
                for matrix, along in zip(matrices, of_shape, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(along, alpha=-size)
        return loss

    def _direction(self, matrix: Tensor, gradient: Any, group: dict[str, Any]) -> Tensor:
        """Return the Nesterov momentum of a matrix, after adding its gradient."""
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum: Tensor = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        along: Tensor = gradient.lerp(momentum, group["momentum"])
        return along.float()


def orthogonalised(
    matrices_KAB: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Return matrices (K, A, B) with singular values near one (quintic Newton-Schulz iteration)."""
    a, b, c = coefficients
    is_tall = matrices_KAB.shape[1] > matrices_KAB.shape[2]
    x = matrices_KAB.mT if is_tall else matrices_KAB
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x
