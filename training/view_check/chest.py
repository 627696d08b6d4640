"""Chests seen under any angle, in any position of the patient.

The phantoms of `training.phantom.rendering` have closed forms for two directions only. Here, body,
lungs, fluid and free air are sampled along the rays, so that one body can be turned about its axis
and can lie on its side. Bones, vessels, heart and devices are those of the phantoms. Shape suffixes
as in `training.phantom.rendering.camera`; `_RCD` samples: coarse rows, columns and depth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.phantom.findings import Findings
from training.phantom.prevalence import sample_findings
from training.phantom.rendering.anatomy import Anatomy
from training.phantom.rendering.camera import Array, Camera
from training.phantom.rendering.detector import Exposure, develop, smooth_noise
from training.phantom.rendering.devices import devices
from training.phantom.rendering.mediastinum import airways, great_vessels
from training.phantom.rendering.skeleton import skeleton
from training.phantom.rendering.solids import Ellipsoid, chords, ramp, union
from training.phantom.rendering.tubes import Tube, sweep
from training.phantom.rendering.vessels import vessels

_CELLS, _DEPTHS = 80, 40
"""Samples across the image, and along each ray."""

_REACH_CM = 19.0
"""Distance from the middle of the body to the first and to the last sample of a ray."""

_BONE_OVER_TISSUE = 2.6

Sides = tuple[float, float]
"""Values of the right and the left side."""

NONE: Sides = (0.0, 0.0)
ERECT, SUPINE, ON_THE_RIGHT, ON_THE_LEFT = (
    (0.0, 0.0, -1.0),
    (0.0, 1.0, 0.0),
    (-1.0, 0.0, 0.0),
    (1.0, 0.0, 0.0),
)
"""Directions of gravity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Patient and position. Pairs are values of the right and the left side.

    Attributes:
        turn: angle between the ray and the sagittal plane, in radians; 0 is frontal.
        down: direction of gravity, in the frame of the body.
        arms: "down", "away" (beside the body), "raised" or "forward".
        portable: whether it is a bedside AP image.
        white: share of each lung that is opaque, evenly.
        patches: number of opacities of each lung.
        fluid: depth of pleural fluid, from the lowest point of each side, in centimetres.
        gas: depth of free pleural air, from the highest point of each side, in centimetres.
        shift: displacement of heart and mediastinum to the left, in centimetres.
        heart: additional share of the heart's size.
        fat: additional thickness of the chest wall, in centimetres.
        child: 0 for an adult, 1 for the proportions of an infant.
        cables: number of cables on the body.
    """

    turn: float = 0.0
    down: tuple[float, float, float] = ERECT
    arms: str = "down"
    portable: bool = False
    white: Sides = NONE
    patches: tuple[int, int] = (0, 0)
    fluid: Sides = NONE
    gas: Sides = NONE
    shift: float = 0.0
    heart: float = 0.0
    fat: float = 0.0
    child: float = 0.0
    cables: int = 0


def radiograph(scene: Scene, rng: np.random.Generator, size: int = 128) -> NDArray[np.uint8]:
    """Return a radiograph (size, size) of a random patient in this scene, bones bright."""
    findings = sample_findings(rng)
    while (findings.patient.view == "AP") != scene.portable:
        findings = sample_findings(rng)
    anatomy = _anatomy(findings, scene, rng)
    camera = Camera(
        view="AP" if scene.portable else "PA",
        size=size,
        field_cm=rng.uniform(37.0, 45.0) + scene.fat,
        x=rng.uniform(-1.5, 1.5),
        y=0.0,
        z=-2.6 + rng.uniform(-1.8, 1.8),
        rotation=scene.turn,
    )
    tissue_HW = _tissue(scene, findings, anatomy, camera, rng)
    exposure = Exposure.sample(rng, portable=scene.portable)
    exposure = replace(exposure, equalisation=rng.uniform(0.1, 0.7), latitude=rng.uniform(0.8, 1.3))
    shown_HW = develop(tissue_HW, exposure, rng)
    return (shown_HW * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)


def _anatomy(findings: Findings, scene: Scene, rng: np.random.Generator) -> Anatomy:
    """Return a chest with wider variation than that of the phantoms."""
    anatomy = Anatomy.sample(findings, rng)
    child = scene.child
    half_width = anatomy.half_width * rng.uniform(0.9, 1.1)
    return replace(
        anatomy,
        half_width=half_width,
        half_depth=anatomy.half_depth * rng.uniform(0.85, 1.2) * (1.0 - child)
        + child * half_width * rng.uniform(0.72, 0.9),
        apex_z=anatomy.apex_z + rng.uniform(-1.5, 1.0) - 2.0 * child,
        dome_z=anatomy.dome_z + rng.uniform(-2.0, 2.5) + 2.0 * child,
        heart_ratio=min(anatomy.heart_ratio * (1.0 + scene.heart) + 0.10 * child, 0.8),
        fat=anatomy.fat * (1.0 - 0.7 * child) + scene.fat,
        breast=anatomy.breast * (1.0 - child),
        midline_shift=anatomy.midline_shift + scene.shift,
        rib_drop=anatomy.rib_drop * rng.uniform(0.8, 1.2) * (1.0 - 0.6 * child),
        bone_density=anatomy.bone_density * rng.uniform(0.7, 1.3),
        markings=anatomy.markings * rng.uniform(0.6, 1.4),
    )


def _tissue(
    scene: Scene, findings: Findings, anatomy: Anatomy, camera: Camera, rng: np.random.Generator
) -> Array:
    """Return the thickness of water-like tissue along each ray (H, W), in centimetres."""
    size = camera.size
    rays = _Rays(anatomy, camera, scene)
    body_HW = _wide(rays.body(), size)
    right_HW, left_HW, gas_HW = rays.lungs(size)
    lung_HW = right_HW + left_HW
    centre_HW = union(camera, [*anatomy.heart(), *great_vessels(anatomy)])
    share_HW = np.maximum(lung_HW + gas_HW - 0.8 * centre_HW, 0.0) / np.maximum(lung_HW + gas_HW, 0.1)
    noise_HW = smooth_noise(rng, 14, size) + 0.6 * smooth_noise(rng, 34, size)
    filled_HW = scene.white[0] * right_HW + scene.white[1] * left_HW
    for sign, count in zip((-1.0, 1.0), scene.patches, strict=True):
        for _ in range(count):
            chords(camera, _patch(anatomy, sign, rng), 1.1).add_to(filled_HW, rng.uniform(0.3, 1.0))
    filled_HW *= np.clip(1.0 + 0.25 * noise_HW, 0.3, 1.5)
    filled_HW += 1.9 * vessels(anatomy, camera, rng, 1.0) * np.minimum(lung_HW * 0.5, 1.0)
    filled_HW += 0.012 * lung_HW * noise_HW
    air_HW = lung_HW * share_HW
    filled_HW = np.clip(filled_HW * share_HW, 0.0, air_HW * 0.97)
    tissue_HW: Array = body_HW - (1.0 - anatomy.lung_density) * (air_HW - filled_HW) - gas_HW * share_HW
    tissue_HW -= 0.8 * airways(anatomy, camera)
    _add_gas(tissue_HW, anatomy, camera, rng)
    np.maximum(tissue_HW, 0.0, out=tissue_HW)
    bone_HW = _BONE_OVER_TISSUE * (skeleton(findings, anatomy, camera, rng) + _arms(scene, camera))
    tissue_HW += bone_HW * np.minimum(tissue_HW, 1.0)  # no bone is outside the body
    tissue_HW += devices(findings, anatomy, camera, rng)
    if scene.cables:
        tissue_HW += sweep(camera, [_cable(anatomy, rng) for _ in range(scene.cables)])
    return tissue_HW


def _patch(anatomy: Anatomy, sign: float, rng: np.random.Generator) -> Ellipsoid:
    z = rng.uniform(anatomy.dome_z, anatomy.apex_z - 2.0)
    x = sign * anatomy.half_width * rng.uniform(0.3, 0.85)
    reach = rng.uniform(1.0, 5.0) * rng.uniform(0.6, 1.2, 3)
    return Ellipsoid((x, rng.uniform(-5.0, 6.0), z), (reach[0], reach[1], reach[2]))


def _add_gas(tissue_HW: Array, anatomy: Anatomy, camera: Camera, rng: np.random.Generator) -> None:
    """Add gas of stomach and bowel below the diaphragm."""
    for _ in range(int(rng.integers(0, 5))):
        reach = rng.uniform(0.8, 3.0, 3)
        centre = (
            rng.uniform(-4.0, 10.0),
            rng.uniform(-5.0, 2.0),
            anatomy.dome_top("left") - 1.0 - reach[2] - rng.uniform(0.0, 5.0),
        )
        chords(camera, Ellipsoid(centre, (reach[0], reach[1], reach[2]))).add_to(tissue_HW, -0.8)


def _cable(anatomy: Anatomy, rng: np.random.Generator) -> Tube:
    """Return a cable, a tube or a line on the chest: a curve through three points."""
    front = -anatomy.half_depth - anatomy.fat - 2.2
    ends = rng.uniform((-16.0, -16.0), (16.0, 16.0), (3, 2))
    share_N1 = np.linspace(0.0, 1.0, 14)[:, None]
    path_N2 = (1 - share_N1) ** 2 * ends[0] + 2 * share_N1 * (1 - share_N1) * ends[1] + share_N1**2 * ends[2]
    points_N3 = np.stack([path_N2[:, 0], np.full(14, front), path_N2[:, 1]], axis=-1)
    return Tube(points_N3, np.full(14, rng.choice([0.1, 0.15, 0.3, 0.5])), rng.uniform(3.0, 12.0))


def _arm(scene: Scene, sign: float) -> tuple[Array, Array]:
    """Return shoulder and elbow."""
    elbow = {
        "down": (22.5, 1.0, -20.0),
        "away": (32.0, 1.0, -12.0),
        "raised": (19.0, -3.0, 34.0),
        "forward": (14.0, -26.0, 16.0),
    }[scene.arms]
    shoulder = (17.0, 0.5, 10.2 if scene.arms in ("down", "away") else 13.0)
    return np.array(shoulder) * (sign, 1.0, 1.0), np.array(elbow) * (sign, 1.0, 1.0)


def _arms(scene: Scene, camera: Camera) -> Array:
    """Return the bones of the upper arms (H, W), in centimetres."""
    tubes = []
    for sign in (-1.0, 1.0):
        points_N3 = np.linspace(*_arm(scene, sign), 12)
        tubes.append(Tube(points_N3, np.full(12, 1.1), 0.6, 0.6))
    return sweep(camera, tubes)


def _wide(coarse_RC: Array, size: int) -> Array:
    places = np.clip((np.arange(size) + 0.5) * (len(coarse_RC) / size) - 0.5, 0.0, len(coarse_RC) - 1.0)
    weights = np.maximum(1.0 - np.abs(places[:, None] - np.arange(len(coarse_RC))), 0.0).astype(np.float32)
    wide: Array = weights @ coarse_RC @ weights.T
    return wide


class _Rays:
    """Samples along the rays of a camera, in the frame of the body."""

    def __init__(self, anatomy: Anatomy, camera: Camera, scene: Scene) -> None:
        self._anatomy, self._scene = anatomy, scene
        coarse = replace(camera, size=_CELLS)
        u_C, self.z_R = coarse.grid()
        w_D = ((np.arange(_DEPTHS) + 0.5) / _DEPTHS * 2.0 - 1.0).astype(np.float32) * np.float32(_REACH_CM)
        cosine, sine = np.float32(np.cos(scene.turn)), np.float32(np.sin(scene.turn))
        self.x_CD = cosine * u_C[:, None] + sine * w_D[None, :]
        self.y_CD = cosine * w_D[None, :] - sine * u_C[:, None]
        self._step = np.float32(2.0 * _REACH_CM / _DEPTHS)
        self._away_RCD = self.y_CD[None] - anatomy.middle_y(self.z_R).astype(np.float32)[:, None, None]

    def body(self) -> Array:
        """Return the path in the body without lungs (R, C): trunk, neck, breasts, arms."""
        anatomy, scene = self._anatomy, self._scene
        wall = 1.9 + anatomy.fat
        trunk, depth = anatomy.half_width + wall, anatomy.half_depth + wall
        heights = [-30.0, -16.0, 3.0, 7.0, 10.0, 12.5, 14.5, 16.5, 24.0]
        if scene.arms in ("raised", "forward"):
            sides = [trunk, trunk, trunk, trunk, 16.0, 12.5, 9.0, 6.4, 6.0]
        else:
            shoulder = max(19.5, trunk) + 0.5 * anatomy.fat
            sides = [trunk - 0.5, trunk, trunk + 0.6, shoulder, shoulder, 16.0, 9.5, 6.6, 6.0]
        depths = [depth, depth, depth - 0.2, 10.5, 9.6, 8.4, 7.0, 6.4, 6.0]
        across_R = np.interp(self.z_R, heights, sides).astype(np.float32)[:, None, None]
        deep_R = np.interp(self.z_R, heights, depths).astype(np.float32)[:, None, None]
        square_RCD = (self.x_CD[None] / across_R) ** 2
        square_RCD *= np.sqrt(square_RCD)  # flanks are fuller than an ellipse
        square_RCD += (self._away_RCD / deep_R) ** 2
        inside_RCD = np.clip((np.float32(1.0) - square_RCD) * 9.0 + 0.5, 0.0, 1.0)
        for sign in (-1.0, 1.0):
            np.maximum(inside_RCD, self._arm(sign), out=inside_RCD)
            if anatomy.breast:
                inside_RCD = np.maximum(inside_RCD, 0.8 * self._breast(sign))
        body_RC: Array = inside_RCD.sum(axis=2) * self._step
        return body_RC

    def _arm(self, sign: float) -> Array:
        shoulder, elbow = _arm(self._scene, sign)
        along = (elbow - shoulder).astype(np.float32)
        x_CD, y_CD = self.x_CD - np.float32(shoulder[0]), self.y_CD - np.float32(shoulder[1])
        z_R = (self.z_R - np.float32(shoulder[2])).astype(np.float32)
        share_RCD = (x_CD * along[0] + y_CD * along[1])[None] + (z_R * along[2])[:, None, None]
        share_RCD = np.clip(share_RCD / np.float32(along @ along), 0.0, 1.0)
        off_RCD = (x_CD[None] - share_RCD * along[0]) ** 2
        off_RCD += (y_CD[None] - share_RCD * along[1]) ** 2
        off_RCD += (z_R[:, None, None] - share_RCD * along[2]) ** 2
        radius = np.float32(4.2 + 0.5 * self._anatomy.fat)
        arm_RCD: Array = np.clip((radius - np.sqrt(off_RCD)) * 2.0 + 0.5, 0.0, 1.0)
        return arm_RCD

    def _breast(self, sign: float) -> Array:
        size = self._anatomy.breast
        x_CD = (self.x_CD - np.float32(8.0 * sign)) / np.float32(5.4 * size)
        y_CD = (self.y_CD + np.float32(self._anatomy.half_depth + 2.0)) / np.float32(3.2 * size)
        z_R = (self.z_R + np.float32(5.5 + size)) / np.float32(5.0 * size)
        square_RCD = (x_CD * x_CD + y_CD * y_CD)[None] + (z_R * z_R).astype(np.float32)[:, None, None]
        breast_RCD: Array = np.clip((np.float32(1.0) - square_RCD) * 3.0 + 0.5, 0.0, 1.0)
        return breast_RCD

    def lungs(self, size: int) -> tuple[Array, Array, Array]:
        """Return the paths in the right and left lung and in free air (H, W)."""
        anatomy, scene = self._anatomy, self._scene
        z_R = self.z_R[:, None, None].astype(np.float32)
        width_R = np.maximum(anatomy.width_at(self.z_R), 1e-3).astype(np.float32)[:, None, None]
        depth_R = np.maximum(anatomy.depth_at(self.z_R), 1e-3).astype(np.float32)[:, None, None]
        square_RCD = (self.x_CD[None] / width_R) ** 2 + (self._away_RCD / depth_R) ** 2
        cage_RCD = np.clip((np.float32(1.0) - square_RCD) * 6.0 + 0.5, 0.0, 1.0)
        cage_RCD *= (self.z_R < anatomy.apex_z).astype(np.float32)[:, None, None]
        back_RCD = self._away_RCD + np.float32(anatomy.half_depth)
        deep = np.float32(2.0 * anatomy.half_depth)
        # The mediastinum is narrow behind the sternum, and wide before the spine.
        middle_RCD = 0.7 + 2.6 * ramp(back_RCD - 0.25 * deep, 3.0) - 0.3 * ramp(z_R - 4.0, 4.0)
        middle_RCD += 2.0 * scene.child * ramp(z_R - 2.0, 3.0)
        middle_RCD += np.float32(0.8) * ramp(np.float32(-5.0) - z_R, 4.0)
        paths, free_RC = [], np.zeros((_CELLS, _CELLS), dtype=np.float32)
        for place, side in enumerate(("right", "left")):
            sign = np.float32(2 * place - 1)
            shift = np.float32(0.7 * anatomy.midline_shift)
            own_RCD = cage_RCD * ramp(sign * (self.x_CD[None] - shift) - middle_RCD, 1.0)
            x, y, z = anatomy.dome(side).centre
            wide, long, high = anatomy.dome(side).radii
            over_RCD = (((self.x_CD - x) / wide) ** 2 + ((self.y_CD - y) / long) ** 2)[None].astype(
                np.float32
            )
            over_RCD = over_RCD + (np.maximum(z_R - np.float32(z), 0.0) / np.float32(high)) ** 2
            own_RCD *= np.clip((over_RCD - 1.0) * 5.0 + 0.5, 0.0, 1.0)
            own_RCD *= z_R > anatomy.dome_top(side) - 9.0
            free_RC += self._drain(own_RCD, square_RCD, place)
            paths.append(_wide(own_RCD.sum(axis=2) * self._step, size))
        return paths[0], paths[1], _wide(free_RC, size)

    def _drain(self, lung_RCD: Array, square_RCD: Array, place: int) -> Array | float:
        """Remove fluid and free air from a lung in place; return the path in free air (R, C)."""
        fluid, gas = self._scene.fluid[place], self._scene.gas[place]
        x, y, z = (np.float32(each) for each in self._scene.down)
        depth_RCD = (x * self.x_CD + y * self.y_CD)[None] + (z * self.z_R).astype(np.float32)[:, None, None]
        occupied = depth_RCD[lung_RCD > 0.5]
        if not (fluid or gas) or not len(occupied):
            return 0.0
        low, high = np.quantile(occupied, (0.995, 0.005))
        free_RC: Array | float = 0.0
        if gas:
            open_RCD = lung_RCD * ramp(np.float32(high + gas) - depth_RCD, 0.4)
            free_RC = open_RCD.sum(axis=2) * self._step
            lung_RCD -= open_RCD
        if fluid:
            # Without free air, fluid creeps up along the wall.
            rise = 0.0 if gas else 3.0 * np.exp(-6.0 * np.maximum(1.0 - square_RCD, 0.0))
            lung_RCD *= ramp(np.float32(low - fluid) - rise - depth_RCD, 0.4)
        return free_RC
