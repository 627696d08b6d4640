"""Random numbers of an update: a function of seed, update, and position of the example in it.

An example therefore gets the same noise in any part of a batch, on any rank, and next to an example
of any length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Noise:
    """Source of random numbers.

    Attributes:
        seed: random seed of the run.
        step: number of the update.
        first: position of the first example within the update.
    """

    seed: int
    step: int = 0
    first: int = 0

    def advanced_by(self, rows: int) -> Noise:
        """Return the source for the examples after the first *rows*."""
        return replace(self, first=self.first + rows)

    def uniform(self, stream: int, rows: int, width: int) -> Tensor:
        """Return numbers (rows, width) in [0, 1); a wider call starts with the same numbers."""
        places = range(self.first, self.first + rows)
        drawn = [np.random.default_rng([self.seed, self.step, p, stream]) for p in places]
        return torch.from_numpy(np.stack([rng.random(width, dtype=np.float32) for rng in drawn]))
