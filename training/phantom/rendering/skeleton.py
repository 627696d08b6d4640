"""Skeleton: ribs, clavicles, sternum, spine, scapulae and humeri, as tubes and simple solids.

Ribs follow the cage from the spine around the flank to the cartilage. A broken rib is two tubes
with overlapping ends, the front one displaced downwards.
"""

from __future__ import annotations

import numpy as np

from training.phantom.findings import SIDES, Findings
from training.phantom.rendering.anatomy import Anatomy
from training.phantom.rendering.camera import Array, Camera
from training.phantom.rendering.solids import Ellipsoid, chords, ramp
from training.phantom.rendering.tubes import Tube, sweep

_RIBS = 11
_RIB_SPACING = 2.25
_VERTICES = 28
_BROKEN_RIBS = 4
_VERTEBRA_CM = 2.35


def skeleton(findings: Findings, anatomy: Anatomy, camera: Camera, rng: np.random.Generator) -> Array:
    """Return the thickness of bone along each ray (H, W), in centimetres of solid bone."""
    first, angle, callus = int(rng.integers(2, 5)), rng.uniform(0.78, 1.12), rng.uniform(0.0, 1.0)
    ribs: list[Tube] = []
    breaks: list[Ellipsoid] = []
    for side in SIDES:
        broken = range(0)
        if findings.value(f"rib_fracture_{side}") == "present":
            broken = range(first, first + _BROKEN_RIBS)
        for rib in range(_RIBS):
            ribs += _rib(anatomy, side, rib, angle if rib in broken else 0.0)
            if rib in broken:
                breaks.append(_callus(anatomy, side, rib, angle))
    bone_HW = sweep(camera, ribs)
    for each in breaks:
        chords(camera, each, 1.0).add_to(bone_HW, 0.35 + 0.45 * callus)
    others = _limb_girdle(anatomy, camera)
    bone_HW += sweep(camera, others if camera.lateral else [*others, *_arches(anatomy)])
    for each in _heads(camera):
        chords(camera, each).add_to(bone_HW, 0.35)
    bone_HW += _spine(anatomy, camera)
    return bone_HW * np.float32(anatomy.bone_density)


def rib_curve(anatomy: Anatomy, side: str, rib: int, angle_N: Array) -> Array:
    """Return points (N, 3) of a rib at angles around the cage: 0 is the spine, pi the sternum."""
    sign = 1.0 if side == "left" else -1.0
    start = anatomy.apex_z - 0.3 - _RIB_SPACING * (rib + 0.12 * anatomy.rib_phase)
    drop = (3.0 + 1.2 * min(rib, 7)) * anatomy.rib_drop
    share_N = angle_N / np.pi
    z_N = start + 0.7 * np.sin(np.minimum(share_N * 5.0, np.pi)) - drop * share_N**1.35 * 1.15
    height_N = np.minimum(z_N, anatomy.apex_z - 1.1)
    x_N = sign * (anatomy.width_at(height_N) + 0.45) * np.sin(angle_N)
    y_N = anatomy.middle_y(height_N) + (anatomy.depth_at(height_N) + 0.35) * np.cos(angle_N)
    return np.stack([x_N, y_N, z_N], axis=-1)


def _rib(anatomy: Anatomy, side: str, rib: int, broken_at: float) -> list[Tube]:
    end = (2.45 if rib < 7 else 2.3 - 0.2 * (rib - 7)) - 0.35 * (rib == 0)
    neck = float(anatomy.width_at(np.array([min(anatomy.apex_z - 1.1, 9.0 - rib)]))[0])
    angle_N = np.linspace(np.arcsin(min(1.9 / neck, 0.5)), end, _VERTICES)
    points_N3 = rib_curve(anatomy, side, rib, angle_N)
    share_N = angle_N / end
    radius_N = 0.52 + 0.20 * share_N + 0.12 * (rib == 0)
    density = 0.62 * np.clip((end - angle_N) / 0.3, 0.0, 1.0)  # cartilage is not visible
    if not broken_at:
        return [Tube(points_N3, radius_N, density, 0.62)]
    behind_N = angle_N < broken_at
    overlap_N = angle_N > broken_at - 0.10
    front_N3 = points_N3[overlap_N] + np.array([0.0, 0.0, -1.25])
    front_N3[:, 0] *= 0.975
    return [
        Tube(points_N3[behind_N], radius_N[behind_N], density[behind_N], 0.5),
        Tube(front_N3, radius_N[overlap_N], density[overlap_N], 0.5),
    ]


def _callus(anatomy: Anatomy, side: str, rib: int, angle: float) -> Ellipsoid:
    x, y, z = (float(each) for each in rib_curve(anatomy, side, rib, np.array([angle]))[0])
    return Ellipsoid((x, y, z - 0.5), (1.0, 1.0, 0.9))


def _limb_girdle(anatomy: Anatomy, camera: Camera) -> list[Tube]:
    """Return clavicles, scapulae and sternum; arms are raised (lateral) or rolled forward (PA)."""
    tubes = []
    raised = 1.3 if camera.view == "AP" else 0.0
    for sign in (-1.0, 1.0):
        clavicle = np.array(
            [
                (1.5, -6.2, 8.6),
                (4.0, -6.2, 9.6 + 0.5 * raised),
                (7.5, -5.0, 10.4 + raised),
                (11.0, -2.6, 11.0 + 1.2 * raised),
                (14.5, -1.0, 12.0 + 1.2 * raised),
            ]
        )
        thickness = np.array([0.95, 0.65, 0.55, 0.6, 0.7])
        outward = 0.0 if camera.view == "AP" else 1.9
        blade = np.array(
            [
                (9.3 + outward, 8.6, 9.8),
                (9.0 + outward * 1.3, 9.6, 4.5),
                (10.2 + outward * 1.5, 9.6, -1.2),
                (12.2 + outward, 8.2, 3.4),
                (14.0 + 0.5 * outward, 5.6, 8.8),
            ]
        )
        ridge = np.array([(9.4 + outward, 9.4, 8.2), (12.5 + 0.5 * outward, 7.5, 10.4), (16.0, 3.0, 12.6)])
        if camera.lateral:
            blade, ridge = blade[2:], ridge[:2]
        if camera.lateral:
            clavicle, thickness = clavicle[:0], thickness[:0]
        for points, radius, gain, core in (
            (clavicle, thickness, 0.75, 0.6),
            (blade, np.array([0.3, 0.28, 0.42, 0.5, 0.6])[-len(blade) :], 0.22, 0.3),
            (ridge, np.array([0.35, 0.5, 0.7])[: len(ridge)], 0.22, 0.4),
        ):
            if len(points):
                tubes.append(_smooth(points * np.array([sign, 1.0, 1.0]), radius, gain, core))
    front = anatomy.depth_at(np.array([8.0, 2.0, -5.0]))
    y = anatomy.middle_y(np.array([8.0, 2.0, -5.0])) - front - 0.9
    sternum = np.stack([np.zeros(3), y, np.array([8.0, 2.0, -5.0])], axis=-1)
    width = 0.8 if camera.lateral else 1.7
    gain = 0.75 if camera.lateral else 0.12
    tubes.append(_smooth(sternum, np.array([width, 0.8 * width, 0.7 * width]), gain, 0.5))
    return tubes


def _smooth(points_N3: Array, radius_N: Array, gain: float, core: float) -> Tube:
    """Return a smoothed curve, by three rounds of corner cutting (Chaikin)."""
    row_N4 = np.concatenate([points_N3, radius_N[:, None]], axis=1)
    for _ in range(3):
        near_N4, far_N4 = row_N4[:-1] * 0.75 + row_N4[1:] * 0.25, row_N4[:-1] * 0.25 + row_N4[1:] * 0.75
        middle_N4 = np.stack([near_N4, far_N4], axis=1).reshape(-1, 4)
        row_N4 = np.concatenate([row_N4[:1], middle_N4, row_N4[-1:]])
    return Tube(row_N4[:, :3], row_N4[:, 3], gain, core)


def _heads(camera: Camera) -> list[Ellipsoid]:
    if camera.lateral:
        return []
    return [Ellipsoid((sign * 17.6, 0.5, 10.2), (2.4, 2.3, 2.5)) for sign in (-1.0, 1.0)]


def _spine(anatomy: Anatomy, camera: Camera) -> Array:
    """Return the vertebral bodies and discs, and in lateral views the posterior arches."""
    z = np.arange(-24.0, 22.0, _VERTEBRA_CM) + anatomy.rib_phase
    y = anatomy.spine_y(z)
    bone_HW = np.zeros((camera.size, camera.size), dtype=np.float32)
    u_W, z_H = camera.grid(0.0 if camera.lateral else float(y[len(y) // 2]))
    disc_H = np.abs((z_H - anatomy.rib_phase + 24.0) / _VERTEBRA_CM % 1.0 - 0.5) * _VERTEBRA_CM
    body_H = ramp(_VERTEBRA_CM / 2 - 0.24 - disc_H, 0.22)
    plate_H = 0.5 * np.maximum(1.0 - np.abs(disc_H - _VERTEBRA_CM / 2 + 0.42) / 0.16, 0.0)
    body_H = body_H + plate_H
    spine_H = anatomy.spine_y(z_H)
    if camera.lateral:
        middle_H = spine_H
        half_H = np.full_like(z_H, 1.65)
        thickness = 0.62
    else:
        middle_H = -np.float32(np.sin(camera.rotation)) * spine_H
        half_H = 1.35 + 0.035 * (anatomy.apex_z - z_H)
        thickness = 0.24
    away_HW = np.abs(u_W - middle_H[:, None])
    bone_HW += (thickness * (0.35 + 0.65 * body_H))[:, None] * ramp(half_H[:, None] - away_HW, 0.3)
    edge_HW = np.maximum(1.0 - np.abs(away_HW - half_H[:, None] + 0.12) * 5.0, 0.0)
    bone_HW += (0.22 * body_H)[:, None] * edge_HW
    if camera.lateral:
        arch_HW = ramp(u_W - middle_H[:, None] - 1.9, 0.5) * ramp(middle_H[:, None] + 5.0 - u_W, 0.9)
        bone_HW += (0.35 * (0.4 + 0.6 * body_H))[:, None] * arch_HW
        return bone_HW
    return bone_HW


def _arches(anatomy: Anatomy) -> list[Tube]:
    """Return the pedicles and spinous processes, which frontal views show end-on."""
    tubes = []
    z_N = np.arange(-24.0, 18.0, _VERTEBRA_CM) + anatomy.rib_phase
    for z, y in zip(z_N, anatomy.spine_y(z_N), strict=True):
        for x, back, low, high, radius in ((0.0, 4.2, -1.6, -0.4, 0.3), (-1.05, 1.8, 0.0, 0.6, 0.32)):
            line = np.array([(x, y + back, z + low), (x, y + back, z + high)])
            tubes.append(Tube(line, np.full(2, radius), 0.5))
            if x:
                tubes.append(Tube(line * np.array([-1.0, 1.0, 1.0]), np.full(2, radius), 0.5))
    return tubes
