"""Where the tube and the detector stand, and which point of the body a pixel shows.

The body's frame is DICOM's: x to the patient's left, y to the back, z to the head, in centimetres; z = 0 lies
3 cm under the carina. Rays are taken as parallel within one structure, and each structure is magnified by its
own distance from the detector: a heart is larger in an AP view. Shape suffixes: `_N3` points, `_H` rows, `_W`
columns, `_HW` images, all float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.phantom.findings import View

Array: TypeAlias = NDArray[np.floating[Any]]

_DISTANCE_CM = {"PA": 180.0, "AP": 105.0, "LATERAL": 180.0}
"""From the focus to the detector."""

_FRONT_CM, _BACK_CM, _FLANK_CM = 13.0, 14.0, 19.0
"""From the body's middle to a detector at its front, its back and its left side."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One view: `field_cm` is the detector's width, (`x`, `y`, `z`) the body point at its middle.

    `rotation` is the patient's turn about the body's axis in radians, positive towards their left.
    """

    view: View
    size: int
    field_cm: float
    x: float
    y: float
    z: float
    rotation: float

    @property
    def pixel_cm(self) -> float:
        """The side of a pixel at the detector."""
        return self.field_cm / self.size

    @property
    def lateral(self) -> bool:
        """Whether rays run across the body."""
        return self.view == "LATERAL"

    def turned(self, points_N3: Array) -> Array:
        """Return points in the frame of the detector: across (u), up (z), and along the ray (w)."""
        cosine, sine = np.float32(np.cos(self.rotation)), np.float32(np.sin(self.rotation))
        x_N, y_N = points_N3[..., 0], points_N3[..., 1]
        x_N, y_N = cosine * x_N - sine * y_N, sine * x_N + cosine * y_N
        across_N, along_N = (y_N, x_N) if self.lateral else (x_N, y_N)
        return np.stack([across_N, points_N3[..., 2], along_N], axis=-1)

    def magnification(self, along_N: Array | float) -> Any:
        """Return how much larger than life a structure at a depth along the ray is shown."""
        distance = _DISTANCE_CM[self.view]
        away = {"PA": _FRONT_CM + along_N, "AP": _BACK_CM - along_N, "LATERAL": _FLANK_CM - along_N}
        return distance / (distance - away[self.view])

    @property
    def centre(self) -> tuple[float, float]:
        """The (u, z) that the middle of the detector shows."""
        return (self.y if self.lateral else self.x), self.z

    def pixels(self, points_N3: Array) -> tuple[Array, Array]:
        """Return the column and the row of points of the body, in pixels."""
        turned_N3 = self.turned(points_N3)
        scale_N = self.magnification(turned_N3[..., 2]) / self.pixel_cm
        u, z = self.centre
        middle = self.size / 2 - 0.5
        return middle + (turned_N3[..., 0] - u) * scale_N, middle - (turned_N3[..., 1] - z) * scale_N

    def grid(self, along: float = 0.0) -> tuple[Array, Array]:
        """Return u_W and z_H: which (u, z) each column and row shows at a depth along the ray."""
        step = self.pixel_cm / self.magnification(along)
        line = ((np.arange(self.size) + 0.5 - self.size / 2) * step).astype(np.float32)
        u, z = self.centre
        return line + np.float32(u), np.float32(z) - line
