"""Detector: from attenuation to a displayed image, with scatter, noise and display curve.

Shape suffixes as in `camera`; `_hw` is a coarse image with `_CELLS` cells per side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from training.phantom.rendering.camera import Array

SOFT_TISSUE_PER_CM = 0.165
"""Effective linear attenuation of water-like tissue in a filtered, hardened chest beam."""

_CELLS = 32
_SCATTER_SHARE = 0.55


@dataclass(frozen=True, slots=True)
class Exposure:
    """Parameters of exposure and display.

    Attributes:
        noise: noise at the mean exposure.
        brightness: offset of the display curve.
        latitude: width of the display curve.
        equalisation: share of the coarse structure that the display removes.
    """

    noise: float
    brightness: float
    latitude: float
    equalisation: float

    @classmethod
    def sample(cls, rng: np.random.Generator, *, portable: bool) -> Self:
        """Draw an exposure; portable exposures are noisier and vary more in brightness."""
        return cls(
            noise=rng.uniform(0.010, 0.024) * (1.5 if portable else 1.0),
            brightness=rng.uniform(-0.05, 0.05) * (1.6 if portable else 1.0),
            latitude=rng.uniform(0.9, 1.1),
            equalisation=rng.uniform(0.25, 0.45),
        )


def develop(tissue_HW: Array, exposure: Exposure, rng: np.random.Generator) -> Array:
    """Return the displayed image in [0, 1], bones bright, from centimetres of water-like tissue.

    An anti-scatter grid leaves a share of the scatter, which is uniform and veils dense regions.
    Fewer quanta reach the detector there, so the noise is higher. The display is logarithmic, and a
    part of the coarse structure is removed.
    """
    primary_HW = np.exp(np.float32(-SOFT_TISSUE_PER_CM) * tissue_HW)
    coarse_hw = _pool(primary_HW)
    scatter_HW = _spread(_blur(_blur(coarse_hw)), len(tissue_HW))
    inside_hw = coarse_hw[6:-6, 6:-6]
    total_HW = primary_HW + np.float32(_SCATTER_SHARE) * np.minimum(scatter_HW, np.float32(inside_hw.mean()))
    optical_HW = -np.log(total_HW)
    grain_HW = rng.standard_normal(tissue_HW.shape, dtype=np.float32)
    # In the logarithm of the exposure, the noise of N quanta is 1 / sqrt(N).
    optical_HW += grain_HW * np.float32(exposure.noise * np.sqrt(inside_hw.mean())) / np.sqrt(total_HW)
    optical_hw = _pool(optical_HW)
    middle_hw = optical_hw[3:-3, 4:-4]
    low, high = np.quantile(middle_hw, (0.03, 0.97))
    even_HW = _spread(_blur(_blur(optical_hw)), len(tissue_HW)) - np.float32(middle_hw.mean())
    optical_HW -= np.float32(exposure.equalisation) * np.clip(even_HW, 0.5 * (low - high), high - low)
    span = np.float32((high - low) * (1.0 - 0.6 * exposure.equalisation))
    centre = np.float32((low + high) / 2 - 0.08 * (high - low))
    shown_HW = (optical_HW - centre) * np.float32(2.0 / exposure.latitude) / span
    image_HW: Array = 0.5 + 0.5 * np.tanh(shown_HW * 0.8 + np.float32(exposure.brightness * 3.0))
    image_HW *= np.minimum(tissue_HW * np.float32(0.5), 1.0)  # the detector is saturated outside the body
    return np.clip(image_HW, 0.0, 1.0, out=image_HW)


def smooth_noise(rng: np.random.Generator, cells: int, size: int) -> Array:
    """Return smooth noise (size, size): nodes of unit variance, 1/cells of the image apart."""
    nodes = rng.standard_normal((cells, cells), dtype=np.float32)
    return _spread(nodes, size)


def _pool(image_HW: Array) -> Array:
    weights = _interpolation(_CELLS, len(image_HW))
    weights = weights / weights.sum(0)
    return _exactly(weights.T, image_HW, weights)


def _blur(coarse_hw: Array) -> Array:
    padded = np.pad(coarse_hw, 1, mode="edge")
    rows = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    blurred: Array = 0.25 * rows[:, :-2] + 0.5 * rows[:, 1:-1] + 0.25 * rows[:, 2:]
    return blurred


def _spread(coarse_hw: Array, size: int) -> Array:
    weights = _interpolation(len(coarse_hw), size)
    return _exactly(weights, coarse_hw, weights.T)


def _exactly(left: Array, middle: Array, right: Array) -> Array:
    """Return a product of three matrices, computed in 64 bits to be the same on every machine."""
    return np.asarray(left @ middle.astype(np.float64) @ right, dtype=np.float32)


@lru_cache(maxsize=16)
def _interpolation(cells: int, size: int) -> Array:
    places = np.clip((np.arange(size) + 0.5) * (cells / size) - 0.5, 0.0, cells - 1.0)
    distance = np.abs(places[:, None] - np.arange(cells)[None, :])
    weights: Array = np.maximum(1.0 - distance, 0.0)
    return weights
