"""Body of a phantom study: proportions that are drawn once and shared by every view of the study.

Lengths are in centimetres, in the frame of the body (see `camera`). The number of random draws does
not depend on the findings, so that the same person can be rendered with and without a finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from training.phantom.findings import Findings
from training.phantom.rendering.camera import Array
from training.phantom.rendering.solids import Ellipsoid

CARDIOTHORACIC_RATIOS = {
    "normal": (0.41, 0.48),
    "mildly_enlarged": (0.54, 0.58),
    "markedly_enlarged": (0.64, 0.69),
}
"""Range of heart width over chest width by heart size, before the magnification of AP views."""

_FAT_CM = {"slim": 0.0, "average": 0.9, "large": 2.6}
_WIDEST_Z = -7.0


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Proportions of one chest.

    `half_width` and `half_depth` are those of the inside of the rib cage at its widest level, and
    `fat` is the additional thickness of the chest wall.
    """

    apex_z: float
    half_width: float
    half_depth: float
    fat: float
    breast: float
    dome_z: float
    dome_difference: float
    dome_height: float
    heart_ratio: float
    heart_tilt: float
    aorta: float
    markings: float
    lung_density: float
    bone_density: float
    kyphosis: float
    rib_phase: float
    rib_drop: float
    midline_shift: float
    stomach_gas: float

    @classmethod
    def sample(cls, findings: Findings, rng: np.random.Generator) -> Self:
        """Draw the chest of a patient with these findings."""
        patient = findings.patient
        female, portable = patient.sex == "F", patient.view == "AP"
        elderly = min(max((patient.age - 45) / 45, 0.0), 1.0)
        inflated = findings.hyperinflation == "present"
        low, high = CARDIOTHORACIC_RATIOS[findings.heart]
        heart_ratio = rng.uniform(low, high)
        collapse = (findings.atelectasis_left == "lower_lobe") - (findings.atelectasis_right == "upper_lobe")
        push = (findings.effusion_right == "large" or findings.pneumothorax_right == "large") - (
            1.0 * (findings.effusion_left == "large" or findings.pneumothorax_left == "large")
        )
        return cls(
            apex_z=rng.uniform(12.0, 13.0),
            half_width=rng.uniform(13.2, 14.4) - 1.2 * female,
            half_depth=rng.uniform(8.9, 9.9) - 0.8 * female + 1.6 * inflated,
            fat=_FAT_CM[patient.habitus] + rng.uniform(0.0, 0.8),
            breast=rng.uniform(0.7, 1.3) * female * (1.0 + 0.35 * (patient.habitus == "large")),
            dome_z=rng.uniform(-9.6, -8.2) + 2.2 * portable - 3.2 * inflated,
            dome_difference=rng.uniform(0.7, 1.9),
            dome_height=rng.uniform(9.2, 10.8) * (0.55 if inflated else 1.0),
            heart_ratio=min(heart_ratio, 0.40) if inflated and findings.heart == "normal" else heart_ratio,
            heart_tilt=rng.uniform(-0.08, 0.08) + 0.28 * inflated,
            aorta=rng.uniform(0.9, 1.1) + 0.35 * elderly,
            markings=rng.uniform(0.8, 1.15) * (0.75 if inflated else 1.0),
            lung_density=rng.uniform(0.28, 0.34) * (0.75 if inflated else 1.0) + 0.03 * portable,
            bone_density=rng.uniform(0.9, 1.1) - 0.22 * elderly,
            kyphosis=rng.uniform(0.0, 1.0) + 1.6 * elderly,
            rib_phase=rng.uniform(-0.5, 0.5),
            rib_drop=rng.uniform(0.9, 1.1) * (0.72 if inflated else 1.0) * (1.12 if portable else 1.0),
            midline_shift=rng.uniform(-0.2, 0.2) + 0.9 * collapse + 1.1 * push,
            stomach_gas=max(0.0, rng.uniform(-0.3, 1.0)),
        )

    def depth_below_apex(self, z: Array) -> Array:
        """Return 1 at the apex, decreasing to 0 at the widest level of the cage, and 0 below it."""
        rest: Array = 1.0 - np.clip((self.apex_z - z) / (self.apex_z - _WIDEST_Z), 0.0, 1.0)
        return rest

    def width_at(self, z: Array) -> Array:
        """Return the inner half width of the cage at a height; 0 above the apex."""
        width: Array = self.half_width * (1.0 - self.depth_below_apex(z) ** 3.0) ** 0.52
        return width

    def depth_at(self, z: Array) -> Array:
        """Return the inner half depth of the cage at a height; 0 above the apex."""
        depth: Array = self.half_depth * (1.0 - self.depth_below_apex(z) ** 2.0) ** 0.6
        return depth

    def middle_y(self, z: Array) -> Array:
        """Return the y coordinate of the middle of the cage, whose apex leans back."""
        rest = self.depth_below_apex(z)
        middle: Array = 3.0 * rest**1.2 + self.kyphosis * (0.5 - (rest - 0.5) ** 2 * 2.0)
        return middle

    def spine_y(self, z: Array) -> Array:
        """Return the y coordinate of the vertebral bodies."""
        rest = np.minimum(self.depth_below_apex(z), 0.86)
        back: Array = self.middle_y(z) + self.half_depth * (1.0 - rest**2.0) ** 0.6 - 3.0
        return back

    def dome_top(self, side: str) -> float:
        """Return the height of the dome of the diaphragm on a side."""
        return self.dome_z - (self.dome_difference if side == "left" else 0.0)

    def dome(self, side: str) -> Ellipsoid:
        """Return the dome of the diaphragm on a side; below its equator, it is a cylinder."""
        sign = 1.0 if side == "left" else -1.0
        centre = (sign * 0.48 * self.half_width, -1.6, self.dome_top(side) - self.dome_height)
        return Ellipsoid(centre, (0.65 * self.half_width, 1.22 * self.half_depth, self.dome_height))

    def heart(self) -> tuple[Ellipsoid, ...]:
        """Return the chambers of the heart: left ventricle, right atrium and outflow."""
        size = self.heart_ratio / 0.45 * self.half_width / 13.8
        base = max(self.dome_z - 2.3 + 4.3 * size, -9.5)
        left = Ellipsoid(
            (2.5 * size + self.midline_shift, -3.0, base),
            (6.5 * size, 6.2 * size**0.6, 4.6 * size**0.85),
            (0.80, -0.30, -0.52 - self.heart_tilt),
        )
        right = Ellipsoid(
            (-1.3 * size + self.midline_shift, -2.4, base + 1.0),
            (3.0 * size, 5.6 * size**0.6, 4.4 * size**0.8),
        )
        atrium = Ellipsoid((0.8 + self.midline_shift, 0.6, base + 3.2), (3.7 * size, 3.0 * size, 3.0))
        return left, right, atrium
