"""What an objective gives the loop: sums, so that an update's loss does not depend on how it is cut up.

A batch may be computed in several parts, one after another or on several ranks. Each part says beforehand by
how much its terms count; the loop adds the counts up over all parts and divides every sum by the total. So
the parts give the loss and the gradient of the whole batch.
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
"""What one forward gets of a batch, and its random numbers."""

Metrics = dict[str, tuple[float, float]]
"""Averages worth logging, each as a sum and by how many it is to be divided."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of an update's loss, before its forward.

    Attributes:
        counts: by what each term's sum is to be divided, as far as this part goes.
        tokens: how many tokens the language model reads in the forward.
        sums: runs the forward; returns each term's sum, its weight in the loss included, and the metrics.
    """

    counts: dict[str, float]
    tokens: int
    sums: Callable[[], tuple[dict[str, Tensor], Metrics]]


class Objective(Protocol):
    """What is minimised.

    Attributes:
        own: what the objective learns for itself, beside the model; it is not part of the checkpoint.
    """

    own: nn.ModuleDict

    def shares(self, parts: Sequence[Part]) -> list[Share]:
        """Draw noise, let a teacher write: all that needs no gradient; return what is left to do of each."""
        ...


class Learner(nn.Module):
    """The model and what the objective learns beside it: everything that is trained, behind one forward."""

    def __init__(self, model: EchoNetwork, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.own = objective.own

    def forward(self, share: Share) -> tuple[dict[str, Tensor], Metrics]:
        """Run a share's forward."""
        return share.sums()


def total(sums: dict[str, Tensor], counts: dict[str, float]) -> Tensor:
    """Return the loss: each sum divided by its count, or by 1 where nothing counts."""
    terms = [each / max(1.0, counts[name]) for name, each in sums.items()]
    return sum(terms[1:], start=terms[0])
