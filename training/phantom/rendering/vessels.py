"""Vessels of the lungs: trees that start at each hilum, get thinner, and end below the pleura.

All branches of a tree are made at once: quadratic curves from the hilum to points in the lung, and
branchlets from points on these curves to other points. Shape suffixes: `_B` branches, `_BN3` their
vertices.
"""

from __future__ import annotations

import numpy as np

from training.phantom.findings import SIDES
from training.phantom.rendering.anatomy import Anatomy
from training.phantom.rendering.camera import Array, Camera
from training.phantom.rendering.mediastinum import hila
from training.phantom.rendering.tubes import Tube, sweep

_PRIMARIES = 13
_CHILDREN = 5
_VERTICES = 9


def vessels(anatomy: Anatomy, camera: Camera, rng: np.random.Generator, fullness: float) -> Array:
    """Return path lengths in vessels (H, W), in centimetres; `fullness` widens the branchlets."""
    tubes = []
    for side in SIDES:
        trunk_B3, tips_B3, bend_B3 = _primaries(anatomy, side, rng)
        primary_BN3 = _curves(trunk_B3, tips_B3, bend_B3)
        radius_N = np.linspace(0.35, 0.14, _VERTICES)
        tubes += [Tube(each_N3, radius_N * rng.uniform(0.75, 1.25)) for each_N3 in primary_BN3]
        starts = rng.integers(2, _VERTICES - 2, _PRIMARIES * _CHILDREN)
        parent = np.repeat(np.arange(_PRIMARIES), _CHILDREN)
        from_B3 = primary_BN3[parent, starts]
        ahead_B3 = (tips_B3[parent] - from_B3) * rng.uniform(0.55, 0.95, (len(parent), 1))
        to_B3 = from_B3 + ahead_B3 + rng.normal(0.0, 1.5, (len(parent), 3))
        child_BN3 = _curves(from_B3, to_B3, rng.normal(0.0, 0.5, (len(parent), 3)))
        thick_B = np.interp(starts, np.arange(_VERTICES), radius_N) * 0.62 * fullness
        taper_N = np.linspace(1.0, 0.45 * fullness, _VERTICES)
        tubes += [Tube(c_N3, thick * taper_N) for c_N3, thick in zip(child_BN3, thick_B, strict=True)]
    return sweep(camera, tubes) * np.float32(anatomy.markings)


def _primaries(anatomy: Anatomy, side: str, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return the start, the end and the bend of each main branch."""
    sign = 1.0 if side == "left" else -1.0
    hilum = np.asarray(hila(anatomy)[side])
    share_B = (np.arange(_PRIMARIES) + rng.uniform(0.1, 0.9, _PRIMARIES)) / _PRIMARIES
    low = anatomy.dome_top(side) - 1.5
    z_B = low + (anatomy.apex_z - 2.0 - low) * share_B
    behind_B = z_B < anatomy.dome_top(side) + 1.5
    angle_B = np.where(behind_B, rng.uniform(0.4, 1.5, _PRIMARIES), rng.uniform(0.5, 2.6, _PRIMARIES))
    reach_B = rng.uniform(0.62, 0.92, _PRIMARIES)
    x_B = sign * np.maximum(anatomy.width_at(z_B) * reach_B * np.sin(angle_B), 3.6)
    y_B = anatomy.middle_y(z_B) + anatomy.depth_at(z_B) * reach_B * np.cos(angle_B)
    tips_B3 = np.stack([x_B, y_B, z_B], axis=-1)
    start_B3 = hilum + rng.normal(0.0, 0.35, (_PRIMARIES, 3))
    bend_B3 = rng.normal(0.0, 0.7, (_PRIMARIES, 3)) + np.array([0.0, 0.0, -0.4])
    return start_B3, tips_B3, bend_B3


def _curves(from_B3: Array, to_B3: Array, bend_B3: Array) -> Array:
    """Return curves (B, N, 3) that bend by `bend_B3` in the middle."""
    share_N1 = np.linspace(0.0, 1.0, _VERTICES)[:, None]
    straight_BN3 = from_B3[:, None] + (to_B3 - from_B3)[:, None] * share_N1
    curved: Array = straight_BN3 + (4.0 * share_N1 * (1.0 - share_N1)) * bend_B3[:, None]
    return curved.astype(np.float32)
