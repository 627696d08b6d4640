"""The random numbers of an update: a function of the seed, the update and the example's place in it.

So an example gets the same noise in whatever part of a batch, on whatever rank and beside whatever longer
example it is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Noise:
    """A source of random numbers.

    Attributes:
        seed: of the run.
        step: the update's number.
        first: the place, within the update's examples, of the first that it is asked for.
    """

    seed: int
    step: int = 0
    first: int = 0

    def advanced_by(self, rows: int) -> Noise:
        """Return the source for the examples from place *rows* on."""
        return replace(self, first=self.first + rows)

    def uniform(self, stream: int, rows: int, width: int) -> Tensor:
        """Return numbers (rows, width) in [0, 1); a wider call begins with the same ones."""
        places = range(self.first, self.first + rows)
        drawn = [np.random.default_rng([self.seed, self.step, p, stream]) for p in places]
        return torch.from_numpy(np.stack([rng.random(width, dtype=np.float32) for rng in drawn]))
