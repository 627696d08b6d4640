"""Camera: geometry of tube and detector, and the mapping between points of the body and pixels.

The frame of the body is that of DICOM: x to the left of the patient, y to the back, z to the head,
in centimetres; z = 0 is 3 cm below the carina. Rays are parallel within one structure. Each
structure is magnified according to its distance from the detector: a heart is larger in an AP view.
Shape suffixes: `_N3` points, `_H` rows, `_W` columns, `_HW` images, all float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.phantom.findings import View

Array: TypeAlias = NDArray[np.floating[Any]]

_DISTANCE_CM = {"PA": 180.0, "AP": 105.0, "LATERAL": 180.0}
"""Distance from the focus to the detector."""

_FRONT_CM, _BACK_CM, _FLANK_CM = 13.0, 14.0, 19.0
"""Distance from the middle of the body to a detector in front, behind and on the left."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Geometry of one view.

    Attributes:
        view: view of the image.
        size: side of the image, in pixels.
        field_cm: width of the detector, in centimetres.
        x: x coordinate of the body point in the middle of the image.
        y: y coordinate of that point.
        z: z coordinate of that point.
        rotation: rotation of the patient about the body axis, in radians, positive to their left.
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
        """Side of a pixel at the detector, in centimetres."""
        return self.field_cm / self.size

    @property
    def lateral(self) -> bool:
        """Whether this is a lateral view, with rays along x."""
        return self.view == "LATERAL"

    def to_detector(self, points_N3: Array) -> Array:
        """Return points in the frame of the detector: across (u), up (z) and along the ray (w)."""
        cosine, sine = np.float32(np.cos(self.rotation)), np.float32(np.sin(self.rotation))
        x_N, y_N = points_N3[..., 0], points_N3[..., 1]
        x_N, y_N = cosine * x_N - sine * y_N, sine * x_N + cosine * y_N
        across_N, along_N = (y_N, x_N) if self.lateral else (x_N, y_N)
        return np.stack([across_N, points_N3[..., 2], along_N], axis=-1)

    def magnification(self, along_N: Array | float) -> Any:
        """Return the magnification of a structure at a depth along the ray."""
        distance = _DISTANCE_CM[self.view]
        away = {"PA": _FRONT_CM + along_N, "AP": _BACK_CM - along_N, "LATERAL": _FLANK_CM - along_N}
        return distance / (distance - away[self.view])

    @property
    def centre(self) -> tuple[float, float]:
        """Point (u, z) in the middle of the detector."""
        return (self.y if self.lateral else self.x), self.z

    def pixels(self, points_N3: Array) -> tuple[Array, Array]:
        """Return the columns and rows of points of the body, in pixels."""
        seen_N3 = self.to_detector(points_N3)
        scale_N = self.magnification(seen_N3[..., 2]) / self.pixel_cm
        u, z = self.centre
        middle = self.size / 2 - 0.5
        return middle + (seen_N3[..., 0] - u) * scale_N, middle - (seen_N3[..., 1] - z) * scale_N

    def grid(self, along: float = 0.0) -> tuple[Array, Array]:
        """Return u of each column (u_W) and z of each row (z_H), at a depth along the ray."""
        step = self.pixel_cm / self.magnification(along)
        line = ((np.arange(self.size) + 0.5 - self.size / 2) * step).astype(np.float32)
        u, z = self.centre
        return line + np.float32(u), np.float32(z) - line
