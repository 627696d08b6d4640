"""Opacities of the lung: consolidation, atelectasis, nodules and oedema.

Every function returns the filled length along each ray, (H, W) float32, in centimetres. The caller
limits it to the length of the lung along that ray.
"""

from __future__ import annotations

import numpy as np

from training.phantom.findings import Findings
from training.phantom.rendering.anatomy import Anatomy
from training.phantom.rendering.camera import Array, Camera
from training.phantom.rendering.lungs import Lungs
from training.phantom.rendering.mediastinum import hila
from training.phantom.rendering.solids import Ellipsoid, chords, ramp
from training.phantom.rendering.tubes import Tube, sweep

_LOBES: dict[tuple[str, str], tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    ("right", "upper"): ((-7.2, -0.6, 6.4), (4.8, 5.4, 4.2)),
    ("right", "middle"): ((-6.4, -4.4, -4.6), (4.8, 4.4, 3.4)),
    ("right", "lower"): ((-8.2, 3.8, -5.8), (4.8, 4.4, 4.2)),
    ("left", "upper"): ((7.2, -0.6, 6.2), (4.6, 5.4, 4.2)),
    ("left", "lingula"): ((9.0, -4.2, -4.4), (4.2, 4.2, 3.4)),
    ("left", "lower"): ((8.6, 4.0, -6.4), (4.6, 4.4, 4.2)),
}
"""Centre and radii of each consolidated lobe in an average chest."""

_PATCHES = 7
_MINOR_FISSURE_Z = 1.2


def consolidation(findings: Findings, anatomy: Anatomy, camera: Camera, rng: np.random.Generator) -> Array:
    """Return fluffy consolidation of lobes, with a sharp border at the minor fissure."""
    filled_HW = np.zeros((camera.size, camera.size), dtype=np.float32)
    size = anatomy.half_width / 13.8
    for (side, lobe), (centre, radii) in _LOBES.items():
        offsets = rng.normal(0.0, 0.40, (_PATCHES, 3))
        scales, density = rng.uniform(0.5, 0.85, _PATCHES), rng.uniform(0.75, 1.0)
        if findings.value(f"consolidation_{side}") != lobe:
            continue
        raised = 0.6 * (anatomy.dome_z + 9.0) if lobe != "upper" else 0.0
        lobe_HW = np.zeros_like(filled_HW)
        for offset, scale in zip(offsets, scales, strict=True):
            x, y, z = (size * c + o * r for c, o, r in zip(centre, offset, radii, strict=True))
            reach = (radii[0] * scale, radii[1] * scale, radii[2] * scale)
            chords(camera, Ellipsoid((x, y, z + raised), reach), 1.1).add_to(lobe_HW, 0.85 * density)
        if side == "right" and lobe != "lower":
            z_H = camera.grid(centre[0] if camera.lateral else centre[1])[1]
            above_H = ramp(z_H - _MINOR_FISSURE_Z, 0.5)
            lobe_HW *= (above_H if lobe == "upper" else 1.0 - above_H)[:, None]
        filled_HW += lobe_HW
    return filled_HW


def atelectasis(findings: Findings, anatomy: Anatomy, camera: Camera, rng: np.random.Generator) -> Array:
    """Return plates above the diaphragm, a collapsed right upper lobe or left lower lobe."""
    filled_HW = np.zeros((camera.size, camera.size), dtype=np.float32)
    for side, sign in (("right", -1.0), ("left", 1.0)):
        places = rng.uniform(-1.0, 1.0, (3, 4))
        if findings.value(f"atelectasis_{side}") != "linear":
            continue
        for layer, place in enumerate(places):
            z = anatomy.dome_top(side) + 1.5 + 1.5 * layer + 0.4 * place[0]
            centre = (sign * (8.2 + place[1] + 0.5 * layer), 0.5 + 2.5 * place[2], z)
            axis = (1.0, 0.0, sign * (0.16 + 0.16 * place[3]))
            plate = Ellipsoid(centre, (3.4 - 0.5 * layer, 3.4, 0.28), axis)
            chords(camera, plate).add_to(filled_HW, 0.7)
    if findings.atelectasis_right == "upper_lobe":
        filled_HW += _collapsed_upper_lobe(anatomy, camera)
    if findings.atelectasis_left == "lower_lobe":
        filled_HW += _collapsed_lower_lobe(anatomy, camera)
    return filled_HW


def _collapsed_upper_lobe(anatomy: Anatomy, camera: Camera) -> Array:
    """Return the right lung above the minor fissure, which is pulled up from the hilum."""
    u_W, z_H = camera.grid(-6.0 if camera.lateral else -1.0)
    slope, low = 0.72, 3.2
    depth_H = anatomy.depth_at(z_H)
    if camera.lateral:
        across_H = np.clip((z_H - low) / slope, 0.0, 0.85 * anatomy.width_at(z_H))
        inside_HW = ramp(5.0 - np.abs(u_W - anatomy.middle_y(z_H)[:, None]), 2.0)
        return np.asarray(across_H[:, None] * inside_HW, dtype=np.float32)
    right_W = np.maximum(-u_W - 2.0, 0.0)
    above_HW = ramp(z_H[:, None] - low - slope * right_W[None, :], 0.7)
    return np.asarray(above_HW * (u_W < 0) * (1.5 * depth_H)[:, None], dtype=np.float32)


def _collapsed_lower_lobe(anatomy: Anatomy, camera: Camera) -> Array:
    """Return a wedge behind the heart, from the left hilum to the diaphragm, next to the spine."""
    u_W, z_H = camera.grid(4.0)
    top = 1.0
    edge_H = 3.0 + np.maximum(top - z_H, 0.0) * 0.40
    under_H = ramp(top - z_H, 1.5)
    if camera.lateral:
        back_HW = ramp(u_W - 2.6 - 0.18 * (top - z_H[:, None]), 1.0)
        return np.asarray(back_HW * (under_H * (edge_H - 1.0))[:, None], dtype=np.float32)
    inside_HW = ramp(edge_H[:, None] - u_W[None, :], 0.6) * ramp(u_W - 0.8, 0.8)
    return np.asarray(inside_HW * (under_H * 0.75 * anatomy.depth_at(z_H))[:, None], dtype=np.float32)


def nodule(findings: Findings, anatomy: Anatomy, camera: Camera, rng: np.random.Generator) -> Array:
    """Return a round nodule of 1.8 to 2.8 cm, or a lobulated mass of 4 to 6 cm."""
    across, along, rise, swell = rng.uniform(0.0, 1.0, 4)
    lobes = rng.normal(0.0, 0.34, (3, 3))
    filled_HW = np.zeros((camera.size, camera.size), dtype=np.float32)
    if findings.nodule == "none":
        return filled_HW
    side, zone, kind = findings.nodule.split("_")
    sign = 1.0 if side == "left" else -1.0
    z = {"upper": 5.4 + 1.8 * rise, "middle": -0.8 + 2.0 * rise, "lower": anatomy.dome_z + 2.2 + 1.8 * rise}[
        zone
    ]
    near, far = (5.6, 7.6) if zone == "upper" else (7.2, 9.6)
    x = sign * (near + (far - near) * across) * anatomy.half_width / 13.8
    y = anatomy.middle_y(np.array([z]))[0] - 4.0 + 8.0 * along
    if zone == "lower" and side == "left":
        x, y = x + 1.0, max(y, 1.5)
    radius = 0.9 + 0.5 * swell if kind == "nodule" else 2.0 + 0.9 * swell
    chords(camera, Ellipsoid((x, y, z), (radius,) * 3)).add_to(filled_HW, 1.7 if kind == "nodule" else 1.1)
    if kind == "mass":
        for dx, dy, dz in lobes * radius:
            part = Ellipsoid((x + dx, y + dy, z + dz), (0.8 * radius,) * 3)
            chords(camera, part).add_to(filled_HW, 0.25)
    return filled_HW


def oedema(
    findings: Findings,
    anatomy: Anatomy,
    camera: Camera,
    rng: np.random.Generator,
    lung: Lungs,
    noise_HW: Array,
) -> Array:
    """Return perihilar haze and basal septal lines; alveolar oedema adds bat-wing opacities."""
    heights = rng.uniform(0.0, 1.0, (2, 9))
    if findings.oedema == "none":
        return np.zeros((camera.size, camera.size), dtype=np.float32)
    alveolar = findings.oedema == "alveolar"
    wing_HW = np.zeros((camera.size, camera.size), dtype=np.float32)
    septa = []
    for sign, side in enumerate(("right", "left")):
        out = -1.0 if side == "right" else 1.0
        x, y, z = hila(anatomy)[side]
        wing = Ellipsoid((x + out * 2.6, y, z - 1.2), (5.2, 6.0, 7.0))
        chords(camera, wing, 1.0).add_to(wing_HW)
        for share in heights[sign]:
            height = anatomy.dome_top(side) - 1.0 + 5.5 * share
            edge = float(anatomy.width_at(np.array([height]))[0]) - 0.25
            line = np.array([(out * (edge - 2.0), -1.0, height - 0.1), (out * edge, 0.0, height)])
            septa.append(Tube(line, np.array([0.06, 0.06]), 3.0))
    wing_HW *= np.clip(0.75 + 0.4 * noise_HW, 0.15, 1.6)
    haze_HW = 0.05 * lung.both() * np.clip(1.0 + 0.5 * noise_HW, 0.2, 1.8)
    amount = 0.52 if alveolar else 0.12
    filled_HW: Array = amount * wing_HW + (1.6 if alveolar else 1.2) * haze_HW + sweep(camera, septa)
    return filled_HW
