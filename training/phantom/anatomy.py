"""The person behind a phantom radiograph: proportions, position, exposure, and how far each finding extends.

Coordinates: x runs from -1 to 1 towards the patient's LEFT (the image's right), y from -1 (top) to 1, both in
the patient's frame, which is rotated, shifted and zoomed a little against the detector. Shape suffix: `_HW`
is (size, size) float32.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One drawn chest. Lengths are in half image widths, angles in radians, the rest are factors."""

    zoom: float
    rotation: float
    shift_x: float
    shift_y: float
    chest_half_width: float
    apex_y: float
    dome_y: float
    dome_difference: float
    fat: float
    breast: float
    heart_width: float
    markings: float
    rib_phase: float
    rib_slope: float
    penetration: float
    brightness: float
    quantum_noise: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        """Draw a chest; always the same number of draws, so that findings can be compared on one person."""
        return cls(
            zoom=rng.uniform(0.94, 1.07),
            rotation=rng.uniform(-0.05, 0.05),
            shift_x=rng.uniform(-0.05, 0.05),
            shift_y=rng.uniform(-0.05, 0.05),
            chest_half_width=rng.uniform(0.77, 0.85),
            apex_y=rng.uniform(-0.82, -0.74),
            dome_y=rng.uniform(0.42, 0.54),
            dome_difference=rng.uniform(0.02, 0.08),
            fat=rng.uniform(0.0, 0.22),
            breast=max(0.0, rng.uniform(-0.2, 0.2)),
            heart_width=rng.uniform(-0.02, 0.02),
            markings=rng.uniform(0.6, 1.1),
            rib_phase=rng.uniform(0.0, 1.0),
            rib_slope=rng.uniform(0.28, 0.42),
            penetration=rng.uniform(0.9, 1.15),
            brightness=rng.uniform(0.92, 1.06),
            quantum_noise=rng.uniform(0.008, 0.022),
        )

    def coordinates(self, size: int) -> tuple[Image, Image]:
        """Return (x_HW, y_HW), the place in the patient's frame that each pixel shows."""
        across_HW, down_HW = _detector(size)
        cosine, sine = np.cos(self.rotation) * self.zoom, np.sin(self.rotation) * self.zoom
        x_HW = np.float32(cosine) * across_HW + np.float32(sine) * down_HW + np.float32(self.shift_x)
        y_HW = np.float32(cosine) * down_HW - np.float32(sine) * across_HW + np.float32(self.shift_y)
        return x_HW, y_HW

    def wall(self, y_HW: Image) -> Image:
        """Return how far the chest wall is from the midline at height y; 0.10 above the apex."""
        depth_HW: Image = np.clip((y_HW - self.apex_y) / (self.dome_y - self.apex_y), 0.0, 1.0)
        rest_HW = 1.0 - depth_HW
        round_HW: Image = np.sqrt(1.0 - rest_HW * rest_HW * np.sqrt(rest_HW))
        return 0.10 + (self.chest_half_width - 0.10) * round_HW

    def diaphragm(self, x_HW: Image) -> Image:
        """Return the height of the diaphragm at x: a dome in each half, the right one higher."""
        away_HW: Image = (np.abs(x_HW) - 0.38) / (self.chest_half_width - 0.38)
        lower_HW: Image = np.clip(x_HW * 20.0, -0.5, 0.5) * self.dome_difference
        curve_HW: Image = np.where(away_HW > 0, np.float32(0.24), np.float32(0.07)) * away_HW * away_HW
        return self.dome_y + lower_HW + curve_HW


def ramp(distance_HW: Image, softness: float) -> Image:
    """Return 0 outside (negative distance), 1 inside, and a smooth edge `softness` wide between."""
    inside_HW: Image = np.clip(distance_HW * np.float32(1.0 / softness) + np.float32(0.5), 0.0, 1.0)
    return inside_HW * inside_HW * (3.0 - 2.0 * inside_HW)


def blob(x_HW: Image, y_HW: Image, center: tuple[float, float], radii: tuple[float, float]) -> Image:
    """Return a soft ellipse: 1 at the centre, 0.5 at about 0.83 radii, 0 from 1.6 radii outwards."""
    across_HW: Image = (x_HW - np.float32(center[0])) * np.float32(1.0 / radii[0])
    down_HW = (y_HW - np.float32(center[1])) * np.float32(1.0 / radii[1])
    fall_HW: Image = np.maximum(1.0 - (across_HW * across_HW + down_HW * down_HW) * np.float32(0.39), 0.0)
    return fall_HW * fall_HW


def smooth_noise(rng: np.random.Generator, cells: int, size: int) -> Image:
    """Return (size, size) noise of unit variance at the nodes that varies over 1/cells of the image."""
    nodes = rng.standard_normal((cells + 1, cells + 1), dtype=np.float32)
    weights = _interpolation(cells, size)
    return np.asarray(weights @ nodes @ weights.T, dtype=np.float32)


@lru_cache(maxsize=8)
def _detector(size: int) -> tuple[Image, Image]:
    line = ((np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
    return np.broadcast_to(line, (size, size)), np.broadcast_to(line[:, None], (size, size))


@lru_cache(maxsize=16)
def _interpolation(cells: int, size: int) -> Image:
    places = (np.arange(size) + 0.5) * (cells / size)
    distance = np.abs(places[:, None] - np.arange(cells + 1)[None, :])
    weights: Image = np.maximum(1.0 - distance, 0.0).astype(np.float32)
    return weights
