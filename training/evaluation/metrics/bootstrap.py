"""Confidence intervals by the percentile bootstrap over studies (Efron 1979).

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
    """A value and its 95 % confidence interval; all three are NaN if the value is undefined."""

    point: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the three numbers, with None instead of NaN, which JSON does not have."""
        bounds = {"point": self.point, "low": self.low, "high": self.high}
        return {name: None if math.isnan(value) else value for name, value in bounds.items()}


def resamples(studies: int, seed: int) -> NDArray[np.int64]:
    """Return the count of each study in each resample (R, N): N draws with replacement per row."""
    shares = np.full(studies, 1 / studies)
    return np.random.default_rng(seed).multinomial(studies, shares, size=RESAMPLES)


def interval(point: float, drawn_R: NDArray[np.float64]) -> Interval:
    """Return a value with its 95 % interval, from its values in resamples; NaNs are ignored."""
    defined = drawn_R[~np.isnan(drawn_R)]
    if math.isnan(point) or not len(defined):
        return Interval(math.nan, math.nan, math.nan)
    low, high = np.percentile(defined, [_TAIL, 100 - _TAIL])
    return Interval(point, float(low), float(high))
