"""Path lengths of rays in solids, in closed form: ellipsoids, and soft edges.

An ellipsoid is defined by its centre and its shape matrix S = sum of r_i^2 e_i e_i^T over its axes.
Its shadow is the ellipse given by the rows and columns of S for the image plane. A ray at squared
distance q from the centre of the shadow (q = 1 at the edge) has a path of sqrt(1 - q) times the
longest chord. Shape suffixes as in `camera`; `_hw` is the part of an image in the bounding box of a
solid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.phantom.rendering.camera import Array, Camera


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid in the frame of the body, in centimetres.

    Attributes:
        centre: centre (x, y, z).
        radii: radii along its three axes.
        axis: direction of the first axis.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    axis: tuple[float, float, float] = (1.0, 0.0, 0.0)

    def shape(self) -> Array:
        """Return the shape matrix (3, 3); the second axis is as close to y as the first permits."""
        first = np.asarray(self.axis, dtype=np.float64)
        first = first / np.linalg.norm(first)
        second = np.array([0.0, 1.0, 0.0]) - first * first[1]
        second = second / np.linalg.norm(second)
        axes = np.stack([first, second, np.cross(first, second)]) * np.asarray(self.radii)[:, None]
        matrix: Array = axes.T @ axes
        return matrix


@dataclass(frozen=True, slots=True)
class Patch:
    """Values (h, w) over a part of an image."""

    rows: slice
    columns: slice
    values_hw: Array

    def add_to(self, image_HW: Array, gain: float = 1.0) -> None:
        """Add the values to an image in place."""
        image_HW[self.rows, self.columns] += np.float32(gain) * self.values_hw

    def raise_to(self, image_HW: Array) -> None:
        """Raise an image in place to the values, if they are higher."""
        window_hw = image_HW[self.rows, self.columns]
        np.maximum(window_hw, self.values_hw, out=window_hw)


def chords(camera: Camera, solid: Ellipsoid, fade: float = 0.5) -> Patch:
    """Return the path lengths of rays in an ellipsoid, in centimetres.

    Args:
        camera: geometry of the view.
        solid: the ellipsoid.
        fade: exponent of 1 - q; 0.5 for a uniform body, more for one that thins out towards its
            edge.
    """
    frame = camera.to_detector(np.eye(3))
    matrix = frame.T @ solid.shape() @ frame
    u0, z0, along = (float(value) for value in camera.to_detector(np.asarray(solid.centre)))
    inverse = np.linalg.inv(matrix[:2, :2])
    longest = 2.0 / np.sqrt(np.linalg.inv(matrix)[2, 2])
    u_W, z_H = camera.grid(along)
    columns = _inside(np.abs(u_W - u0) < np.sqrt(matrix[0, 0]))
    rows = _inside(np.abs(z_H - z0) < np.sqrt(matrix[1, 1]))
    u_w, z_h = u_W[columns] - np.float32(u0), z_H[rows, None] - np.float32(z0)
    rest_hw = (np.float32(1.0) - np.float32(inverse[1, 1]) * z_h * z_h) - np.float32(inverse[0, 0]) * (
        u_w * u_w
    )
    if abs(inverse[0, 1]) > 1e-6:
        rest_hw -= (np.float32(2.0 * inverse[0, 1]) * z_h) * u_w
    np.maximum(rest_hw, 0.0, out=rest_hw)
    shaped_hw = np.sqrt(rest_hw) if fade == 0.5 else rest_hw ** np.float32(fade)
    return Patch(rows, columns, np.float32(longest) * shaped_hw)


def union(camera: Camera, solids: Sequence[Ellipsoid]) -> Array:
    """Return approximate path lengths in overlapping solids (H, W): the 4-norm of their chords.

    The result is close to the longest chord if one chord is much longer than the others. It has no
    edge if the edge of one solid is inside another solid.
    """
    image_HW = np.zeros((camera.size, camera.size), dtype=np.float32)
    for solid in solids:
        patch = chords(camera, solid)
        square_hw = patch.values_hw * patch.values_hw
        image_HW[patch.rows, patch.columns] += square_hw * square_hw
    return np.sqrt(np.sqrt(image_HW))


def ramp(distance: Array, softness: float) -> Array:
    """Return 0 outside (negative distance), 1 inside, and a smooth edge of width `softness`."""
    inside: Array = np.clip(distance * np.float32(1.0 / softness) + np.float32(0.5), 0.0, 1.0)
    return inside * inside * (3.0 - 2.0 * inside)


def _inside(mask: Array) -> slice:
    places = np.flatnonzero(mask)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)
