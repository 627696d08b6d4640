"""How each finding of the lungs, the pleura and the devices lies on the detector, in the patient's frame.

Every function returns a cover (0 to 1, float32, shape _HW); `radiograph` decides how much each one absorbs.
Coordinates and shape suffix as in `anatomy`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from training.phantom.anatomy import Anatomy, Image, blob, ramp

RIGHT, LEFT = -1.0, 1.0
"""The sign of x on each side of the patient."""

HEART_EXTENTS = {"normal": (0.26, 0.46), "mildly_enlarged": (0.33, 0.59), "markedly_enlarged": (0.42, 0.71)}
"""heart -> how far it reaches to the right and the left of the midline: ratios of about 0.45, 0.57, 0.70."""

_OPACITY_CENTERS = {
    "right_upper": ((-0.42, -0.42),),
    "right_lower": ((-0.46, 0.20),),
    "left_upper": ((0.42, -0.42),),
    "left_lower": ((0.55, 0.20),),
    "bilateral_lower": ((-0.46, 0.20), (0.55, 0.20)),
}


@dataclass(frozen=True, slots=True)
class Extent:
    """How large and where the findings are on this person, drawn whether or not they are present."""

    opacity_dx: float
    opacity_dy: float
    opacity_size: float
    effusion_level: float
    collapse: float
    tip_dy: float
    device_dx: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        """Draw the extents; always the same number of draws."""
        return cls(
            opacity_dx=rng.uniform(-0.05, 0.05),
            opacity_dy=rng.uniform(-0.06, 0.06),
            opacity_size=rng.uniform(0.85, 1.15),
            effusion_level=rng.uniform(-0.06, 0.06),
            collapse=rng.uniform(0.14, 0.22),
            tip_dy=rng.uniform(-0.05, 0.05),
            device_dx=rng.uniform(-0.04, 0.04),
        )


def consolidation(value: str, extent: Extent, x_HW: Image, y_HW: Image) -> Image:
    """Cover of the consolidated lung, one soft patch for each lobe."""
    cover_HW = np.zeros_like(x_HW)
    for center_x, center_y in _OPACITY_CENTERS.get(value, ()):
        center = (center_x + extent.opacity_dx, center_y + extent.opacity_dy)
        radii = (0.24 * extent.opacity_size, 0.21 * extent.opacity_size)
        cover_HW = np.maximum(cover_HW, blob(x_HW, y_HW, center, radii))
    dense_HW: Image = np.minimum(cover_HW * 1.5, 1.0)
    return dense_HW


def fluid(value: str, extent: Extent, anatomy: Anatomy, x_HW: Image, y_HW: Image) -> Image:
    """Cover of pleural fluid: a level that climbs the wall (meniscus); a small one fills the angle only."""
    if value == "none":
        return np.zeros_like(x_HW)
    size, _, side = value.partition("_")
    if size == "large":
        top, rise = -0.02 + extent.effusion_level, 0.30
    else:
        top, rise = anatomy.dome_y + 0.06 + extent.effusion_level * 0.4, 0.30
    from_wall_HW = np.maximum(anatomy.wall(y_HW) - np.abs(x_HW), 0.0)
    meniscus_HW = rise * np.exp(from_wall_HW * np.float32(-9.0))
    cover_HW = ramp(y_HW - (top - meniscus_HW), 0.05)
    if side:
        cover_HW = cover_HW * half(x_HW, side)
    return cover_HW


def collapse(value: str, extent: Extent, anatomy: Anatomy, x_HW: Image, y_HW: Image) -> tuple[Image, Image]:
    """Covers of the air between lung and wall (widest at the apex) and of the visceral pleura's line."""
    if value == "none":
        return np.zeros_like(x_HW), np.zeros_like(x_HW)
    width_HW = extent.collapse * ramp(0.35 - y_HW, 0.9)
    lung_edge_HW = anatomy.wall(y_HW - extent.collapse * 1.1) - width_HW
    outside_HW = np.abs(x_HW) - lung_edge_HW
    side_HW = half(x_HW, value)
    line_HW = np.maximum(1.0 - np.abs(outside_HW) * np.float32(1.0 / 0.014), 0.0) * ramp(0.30 - y_HW, 0.1)
    return ramp(outside_HW, 0.02) * side_HW, line_HW * side_HW


def half(x_HW: Image, side: str) -> Image:
    """Cover of one half of the body."""
    return ramp(x_HW * np.float32(LEFT if side == "left" else RIGHT), 0.02)


def device(value: str, extent: Extent, x_HW: Image, y_HW: Image) -> Image:
    """Cover of tubes, lines and hardware."""
    if value == "endotracheal_tube":
        tip_y = -0.40 + extent.tip_dy
        walls_HW = np.abs(np.abs(x_HW - np.float32(extent.device_dx * 0.3)) - 0.026)
        return _stroke(walls_HW, 0.013) * ramp(tip_y - y_HW, 0.02)
    if value == "central_line":
        return _central_line(extent, x_HW, y_HW)
    if value == "pacemaker":
        return _pacemaker(extent, x_HW, y_HW)
    return np.zeros_like(x_HW)


def _central_line(extent: Extent, x_HW: Image, y_HW: Image) -> Image:
    neck_HW = np.maximum(-0.36 - y_HW, 0.0)
    path_HW = -0.15 - 0.55 * neck_HW * neck_HW + extent.device_dx * 0.5
    tip_y = -0.04 + extent.tip_dy
    return _stroke(np.abs(x_HW - path_HW), 0.016) * ramp(tip_y - y_HW, 0.02)


def _pacemaker(extent: Extent, x_HW: Image, y_HW: Image) -> Image:
    center_x, center_y = 0.60 + extent.device_dx, -0.56 + extent.tip_dy
    across_HW, down_HW = (x_HW - center_x) / 0.125, (y_HW - center_y) / 0.105
    case_HW = ramp(1.0 - (across_HW**4 + down_HW**4), 0.15) * 0.95
    arch_HW = -0.66 + 0.9 * (x_HW - 0.28) ** 2
    vein_HW = _stroke(np.abs(y_HW - arch_HW), 0.016) * ramp(x_HW + 0.12, 0.02) * ramp(center_x - x_HW, 0.02)
    along_HW = np.clip((y_HW + 0.52) / 0.87, 0.0, 1.0)
    descent_HW = -0.12 + 0.42 * along_HW**3
    lead_HW = _stroke(np.abs(x_HW - descent_HW), 0.016) * ramp(y_HW + 0.52, 0.02) * ramp(0.35 - y_HW, 0.02)
    metal_HW: Image = np.maximum(np.maximum(case_HW, vein_HW), lead_HW)
    return metal_HW


def _stroke(distance_HW: Image, half_width: float) -> Image:
    stroke_HW: Image = np.clip(2.0 - distance_HW * np.float32(1.5 / half_width), 0.0, 1.0)
    return stroke_HW
