"""Interface between an objective and the loop: sums, so that the loss is the same for any split.

A batch may be computed in several parts, one after another or on several ranks. Each part reports
the counts of its terms before its forward pass. The loop adds the counts of all parts and divides
every sum by the total. The parts therefore give the loss and the gradient of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from echo_node.model.network import EchoNetwork
from training.examples.collate import Batch
from training.objectives.noise import Noise

Part = tuple[Batch, Noise]
"""Part of a batch for one forward pass, and its random numbers."""

Metrics = dict[str, tuple[float, float]]
"""Averages to log, each as a pair of a sum and its divisor."""


@dataclass(frozen=True, slots=True)
class Share:
    """Part of an update's loss, before its forward pass.

    Attributes:
        counts: this part's contribution to the divisor of each term.
        tokens: number of tokens that the language model processes in the forward pass.
        sums: function that runs the forward pass; it returns the weighted sum of each term, and the
            metrics.
    """

    counts: dict[str, float]
    tokens: int
    sums: Callable[[], tuple[dict[str, Tensor], Metrics]]


class Objective(Protocol):
    """Loss to minimise.

    Attributes:
        own: modules that the objective trains in addition to the model; not in the checkpoint.
    """

    own: nn.ModuleDict

    def shares(self, parts: Sequence[Part]) -> list[Share]:
        """Return a share of the loss for each part.

        This call does everything that needs no gradient, such as noise and rollouts. The forward
        passes run later, when the loop calls the shares.
        """
        ...


class Learner(nn.Module):
    """Model and modules of the objective: everything that is trained, with one forward method."""

    def __init__(self, model: EchoNetwork, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.own = objective.own

    def forward(self, share: Share) -> tuple[dict[str, Tensor], Metrics]:
        """Run the forward pass of a share."""
        return share.sums()


def total(sums: dict[str, Tensor], counts: dict[str, float]) -> Tensor:
    """Return the loss: all sums, each divided by its count (at least 1), added up."""
    terms = [value / max(1.0, counts[name]) for name, value in sums.items()]
    return sum(terms[1:], start=terms[0])
