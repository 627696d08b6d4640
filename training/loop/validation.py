"""Validation: the loss on held-out examples, and early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from training.distributed import Distributed
from training.examples.collate import Batch
from training.objectives.noise import Noise
from training.objectives.objective import Learner, Objective, total
from training.recipe import ValidationRecipe


class HeldOut:
    """Held-out batches with fixed noise."""

    def __init__(self, batches: Sequence[Batch], distributed: Distributed, noise: Noise) -> None:
        """Store the batches.

        Args:
            batches: this process's batches; every process has the same number.
            distributed: processes of the run.
            noise: source of noise for the first example of *batches*.
        """
        self._batches, self._distributed, self._noise = batches, distributed, noise

    @torch.no_grad()
    def loss(self, learner: Learner, objective: Objective) -> float:
        """Return the loss on the held-out examples of all processes."""
        learner.train(mode=False)
        sums: dict[str, float] = {}
        counts: dict[str, float] = {}
        noise = self._noise
        for batch in self._batches:
            share = objective.shares([(batch, noise)])[0]
            noise = noise.advanced_by(len(batch.prompt_NP))
            terms, _ = learner(share)
            for name, count in share.counts.items():
                counts[name] = counts.get(name, 0.0) + count
                sums[name] = sums.get(name, 0.0) + float(terms[name])
        sums, counts = self._distributed.all_reduce(sums), self._distributed.all_reduce(counts)
        return float(total({name: torch.tensor(value) for name, value in sums.items()}, counts))


@dataclass(slots=True)
class Patience:
    """State of early stopping.

    Attributes:
        best: best loss so far.
        waited: number of validations since the best loss.
        stopped: whether the run should stop.
    """

    best: float = float("inf")
    waited: int = 0
    stopped: bool = False

    def see(self, loss: float, recipe: ValidationRecipe) -> bool:
        """Record the loss of a validation; return whether it is the best so far."""
        is_best = loss < self.best
        self.best = min(loss, self.best)
        self.waited = 0 if is_best else self.waited + 1
        self.stopped = 0 < recipe.patience <= self.waited
        return is_best

    def as_dict(self) -> dict[str, float | int | bool]:
        """Return the values as a dictionary, for the saved state."""
        return asdict(self)
