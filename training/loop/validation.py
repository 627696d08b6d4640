"""The loss on held-out examples, and whether it is time to stop."""

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
    """Held-out batches, always with the same noise."""

    def __init__(self, batches: Sequence[Batch], distributed: Distributed, noise: Noise) -> None:
        """Know the examples.

        Args:
            batches: this process's part of them, as many as each other process has.
            distributed: the processes.
            noise: of the first of them.
        """
        self._batches, self._distributed, self._noise = batches, distributed, noise

    @torch.no_grad()
    def loss(self, learner: Learner, objective: Objective) -> float:
        """Return the loss on all of them."""
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
        return float(total({name: torch.tensor(each) for name, each in sums.items()}, counts))


@dataclass(slots=True)
class Patience:
    """The best loss so far, and for how long it has been the best.

    Attributes:
        best: the loss.
        waited: validations since.
        stopped: whether these are enough.
    """

    best: float = float("inf")
    waited: int = 0
    stopped: bool = False

    def see(self, loss: float, recipe: ValidationRecipe) -> bool:
        """Take a validation's loss; return whether it is the best so far."""
        is_best = loss < self.best
        self.best = min(loss, self.best)
        self.waited = 0 if is_best else self.waited + 1
        self.stopped = 0 < recipe.patience <= self.waited
        return is_best

    def as_dict(self) -> dict[str, float | int | bool]:
        """Return it as a state keeps it."""
        return asdict(self)
