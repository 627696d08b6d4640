"""Lungs and pleural spaces: the inside of the cage above the diaphragm, without fluid and free air.

At each height the cage is an ellipse, half of which is a hemithorax. Fluid or free air is a layer
between the wall and the lung, whose thickness depends on the height. Therefore a meniscus and the
edge of a collapsed lung look right in every view. Shape suffixes as in `camera`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.phantom.findings import SIDES, Findings
from training.phantom.rendering.anatomy import Anatomy
from training.phantom.rendering.camera import Array, Camera
from training.phantom.rendering.solids import ramp

_MENISCUS_CM = {"small": 1.5, "moderate": 2.2, "large": 2.4}
_RISE_CM = {"small": 3.4, "moderate": 6.5, "large": 7.0}
_LEVELS = {"small": (1.5, 2.3), "moderate": (3.6, 5.0), "large": (9.5, 12.0)}
"""Range of the fluid level above the costophrenic angle by size; the meniscus is higher."""

_PLEURA_CM = 0.13


@dataclass(frozen=True, slots=True)
class Lungs:
    """Path lengths of rays, in centimetres.

    Attributes:
        right_HW: path in the right lung.
        left_HW: path in the left lung.
        free_HW: path in free air of the pleural space.
        pleura_HW: path in pleura seen edge-on.
        open_HW: share of the inside of the cage that is above the diaphragm.
    """

    right_HW: Array
    left_HW: Array
    free_HW: Array
    pleura_HW: Array
    open_HW: Array

    def both(self) -> Array:
        """Return the path length of rays in both lungs (H, W)."""
        both_HW: Array = self.right_HW + self.left_HW
        return both_HW


def lungs(findings: Findings, anatomy: Anatomy, camera: Camera, rng: np.random.Generator) -> Lungs:
    """Return the lungs and pleural spaces, from which the mediastinum is not yet subtracted."""
    shares = {side: rng.uniform(0.0, 1.0, 2) for side in SIDES}
    free_HW, pleura_HW, cage_HW, above_HW = np.zeros((4, camera.size, camera.size), dtype=np.float32)
    paths = {}
    for side in SIDES:
        fluid, air = (findings.value(f"{name}_{side}") for name in ("effusion", "pneumothorax"))
        space = _Hemithorax(anatomy, camera, side)
        layer_H = _fluid_layer(fluid, anatomy, side, space.z_H, shares[side][0])
        gas_H = _air_layer(air, anatomy, space.z_H, shares[side][1])
        lung_HW = space.chord(layer_H + gas_H)
        cage_HW += space.chord(0.0, domed=False)
        above_HW += space.chord(0.0)
        if air != "none":
            free_HW += np.maximum(space.chord(layer_H) - lung_HW, 0.0)
            pleura_HW += np.maximum(lung_HW - space.chord(layer_H + gas_H + _PLEURA_CM), 0.0)
        paths[side] = lung_HW
    return Lungs(paths["right"], paths["left"], free_HW, pleura_HW, above_HW / np.maximum(cage_HW, 0.1))


def angle_z(anatomy: Anatomy, side: str) -> float:
    """Return the height of the lateral costophrenic angle."""
    dome = anatomy.dome(side)
    across = (anatomy.half_width - abs(dome.centre[0])) / dome.radii[0]
    return dome.centre[2] + dome.radii[2] * float(np.sqrt(max(0.0, 1.0 - across * across)))


class _Hemithorax:
    """One half of the cage above the diaphragm, in one view."""

    def __init__(self, anatomy: Anatomy, camera: Camera, side: str) -> None:
        self._lateral, self._sign = camera.lateral, 1.0 if side == "left" else -1.0
        self._dome = anatomy.dome(side)
        u_W, self.z_H = camera.grid(self._sign * 6.0 if camera.lateral else 0.0)
        self._width_H, self._depth_H = anatomy.width_at(self.z_H), anatomy.depth_at(self.z_H)
        self._middle_H = anatomy.middle_y(self.z_H)
        if camera.lateral:
            self._u_HW = u_W[None, :] - self._middle_H[:, None]
        else:
            shift = np.float32(-np.sin(camera.rotation)) * self._middle_H[:, None]
            self._u_HW = u_W[None, :] - shift
            self._own_W = ramp(u_W * np.float32(self._sign) - 1.0, 1.0)
        self._dome_low_HW, self._dome_high_HW = self._dome_interval(u_W)

    def chord(self, layer_H: Array | float, *, domed: bool = True) -> Array:
        """Return the path length in the hemithorax (H, W), without a layer at the wall."""
        width_H = np.maximum(self._width_H - layer_H, 0.0)[:, None]
        depth_H = np.maximum(self._depth_H - layer_H, 0.0)[:, None]
        across_H, along_H = (depth_H, width_H) if self._lateral else (width_H, depth_H)
        scale_H = np.float32(1.0) / np.maximum(across_H, 1e-3).astype(np.float32)
        part_HW = self._u_HW * scale_H
        half_HW = along_H * np.sqrt(np.maximum(1.0 - part_HW * part_HW, 0.0))
        if self._lateral:
            low_HW, high_HW = (0.0, half_HW) if self._sign > 0 else (-half_HW, 0.0)
        else:
            half_HW = half_HW * self._own_W
            low_HW, high_HW = self._middle_H[:, None] - half_HW, self._middle_H[:, None] + half_HW
        if not domed:
            return np.asarray(high_HW - low_HW, dtype=np.float32)
        blocked_HW = np.minimum(high_HW, self._dome_high_HW) - np.maximum(low_HW, self._dome_low_HW)
        chord_HW: Array = (high_HW - low_HW) - np.maximum(blocked_HW, 0.0)
        return chord_HW.astype(np.float32)

    def _dome_interval(self, u_W: Array) -> tuple[Array, Array]:
        x, y, z = self._dome.centre
        width, depth, height = self._dome.radii
        u0, across, w0, along = (y, depth, x, width) if self._lateral else (x, width, y, depth)
        over_H = np.maximum(self.z_H - z, 0.0) / height
        rest_HW = (1.0 - over_H * over_H)[:, None] - (((u_W - u0) / across) ** 2)[None, :]
        half_HW = np.float32(along) * np.sqrt(np.maximum(rest_HW, 0.0)).astype(np.float32)
        return np.float32(w0) - half_HW, np.float32(w0) + half_HW


def _fluid_layer(size: str, anatomy: Anatomy, side: str, z_H: Array, share: float) -> Array:
    """Return the thickness of the fluid at the wall at each height (H,): a level and a meniscus."""
    if size == "none":
        return np.zeros_like(z_H)
    low, high = _LEVELS[size]
    level = angle_z(anatomy, side) + low + (high - low) * share
    over_H = np.clip((z_H - level) / _RISE_CM[size], 1e-4, 1.0)
    layer_H: Array = -_MENISCUS_CM[size] * np.log(over_H)
    return np.where(z_H < level, 30.0, layer_H).astype(np.float32)


def _air_layer(size: str, anatomy: Anatomy, z_H: Array, share: float) -> Array:
    """Return the distance of the lung from the wall at each height (H,), largest at the apex."""
    if size == "none":
        return np.zeros_like(z_H)
    rest_H = anatomy.depth_below_apex(z_H)
    if size == "small":
        layer_H: Array = (1.15 + 0.6 * share) * np.clip(rest_H * 2.2, 0.0, 1.0) + 0.9 * rest_H
    else:
        layer_H = 3.6 + 1.4 * share + 1.2 * rest_H
    return layer_H.astype(np.float32)
