"""How far a figure would move with other studies of the same kind: the percentile bootstrap (Efron 1979).

Shapes: R resamples, N studies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
_TAIL = 2.5


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % confidence interval; all three are NaN where the figure is not defined."""

    point: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the three numbers, None in place of NaN, which JSON does not know."""
        bounds = {"point": self.point, "low": self.low, "high": self.high}
        return {name: None if math.isnan(value) else value for name, value in bounds.items()}


def resamples(studies: int, seed: int) -> NDArray[np.int64]:
    """Return how often each study is drawn, (R, N): every row draws N studies with replacement."""
    shares = np.full(studies, 1 / studies)
    return np.random.default_rng(seed).multinomial(studies, shares, size=RESAMPLES)


def interval(point: float, drawn_R: NDArray[np.float64]) -> Interval:
    """Return a figure with the middle 95 % of its resampled values; those without a value do not count."""
    defined = drawn_R[~np.isnan(drawn_R)]
    if math.isnan(point) or not len(defined):
        return Interval(math.nan, math.nan, math.nan)
    low, high = np.percentile(defined, [_TAIL, 100 - _TAIL])
    return Interval(point, float(low), float(high))
