"""Devices: tubes, central lines and pacemakers, well placed or malpositioned; monitor leads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.phantom.findings import Findings
from training.phantom.rendering.anatomy import Anatomy
from training.phantom.rendering.camera import Array, Camera
from training.phantom.rendering.mediastinum import CARINA_Z, hila
from training.phantom.rendering.solids import Ellipsoid, chords, ramp
from training.phantom.rendering.tubes import Tube, sweep

_MONITORED_SHARE = 0.6
_CURVE_STEPS = 6

Point = tuple[float, float, float]


def devices(findings: Findings, anatomy: Anatomy, camera: Camera, rng: np.random.Generator) -> Array:
    """Return the absorption of devices (H, W), in centimetres of soft tissue."""
    shares, wires = rng.uniform(0.0, 1.0, 4), rng.uniform(-1.0, 1.0, (3, 3))
    monitored = rng.random() < _MONITORED_SHARE
    tubes = [
        *_endotracheal_tube(findings.endotracheal_tube, anatomy, shares[0]),
        *_gastric_tube(findings.gastric_tube, anatomy, shares[1]),
        *_central_line(findings.central_line, anatomy, shares[2]),
        *_leads(findings.pacemaker, anatomy),
    ]
    if monitored and findings.patient.view == "AP":
        tubes += _monitor(anatomy, wires)
    absorbed_HW = sweep(camera, tubes)
    if findings.pacemaker != "none":
        _add_generator(absorbed_HW, findings.pacemaker, anatomy, camera)
    return absorbed_HW


def _curve(points: Sequence[Point], radius: float, gain: float, core: float = 0.0) -> Tube:
    """Return a tube of constant radius through points (Catmull–Rom spline)."""
    p_N3 = np.asarray(points, dtype=np.float64)
    p_N3 = np.concatenate([2 * p_N3[:1] - p_N3[1:2], p_N3, 2 * p_N3[-1:] - p_N3[-2:-1]])
    a, b, c, d = (p_N3[place : len(p_N3) - 3 + place, None] for place in range(4))
    t = np.linspace(0.0, 1.0, _CURVE_STEPS, endpoint=False)[None, :, None]
    between = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    path_N3 = np.concatenate([between.reshape(-1, 3), p_N3[-2:-1]])
    return Tube(path_N3, np.full(len(path_N3), radius), gain, core)


def _airway_path(anatomy: Anatomy, tip_z: float) -> list[Point]:
    shift = anatomy.midline_shift
    whole = [(0.0, -0.6, 21.0), (0.0, -0.2, 17.0), (0.0, 0.5, 13.0), (0.5 * shift - 0.2, 1.2, 8.0)]
    path = [point for point in whole if point[2] > tip_z + 1.0]
    return [*path, (0.4 * shift - 0.1, 1.4, tip_z)]


def _right_bronchus(anatomy: Anatomy) -> list[Point]:
    x, y, z = hila(anatomy)["right"]
    return [*_airway_path(anatomy, CARINA_Z + 0.6), (-1.9, 1.6, 1.3), (0.8 * x, y, z + 0.2)]


def _endotracheal_tube(value: str, anatomy: Anatomy, share: float) -> list[Tube]:
    if value == "none":
        return []
    if value == "right_bronchus":
        path = [*_right_bronchus(anatomy)[:-1], (-2.5, 1.5, 0.7 - 0.5 * share)]
    elif value == "high":
        path = _airway_path(anatomy, CARINA_Z + 8.6 + 1.4 * share)
    else:
        path = _airway_path(anatomy, CARINA_Z + 3.0 + 2.2 * share)
    return [_curve(path, 0.5, 2.4, 0.95), _curve([(x + 0.2, y, z) for x, y, z in path], 0.11, 12.0)]


def _gastric_tube(value: str, anatomy: Anatomy, share: float) -> list[Tube]:
    if value == "none":
        return []
    gullet: list[Point] = [(0.5, 1.0, 21.0), (0.6, 2.0, 14.0), (0.8, 2.9, 7.0), (0.9, 3.2, 2.0)]
    dome = anatomy.dome_top("left")
    if value == "oesophagus":
        path = [*gullet, (1.0, 3.3, -1.0 - 2.0 * share)]
    elif value == "right_bronchus":
        path = [*_right_bronchus(anatomy), (-5.2, 2.6, -3.0), (-6.2, 4.0, -5.0 - 1.5 * share)]
    else:
        path = [*gullet, (1.2, 3.0, -4.0), (1.9, 2.2, dome), (4.0, 0.8, dome - 3.2), (6.6, -0.6, dome - 4.6)]
    return [_curve(path, 0.28, 7.0, 0.5)]


def _central_line(value: str, anatomy: Anatomy, share: float) -> list[Tube]:
    if value == "none":
        return []
    side, tip = value.split("_")
    shift = 0.6 * anatomy.midline_shift
    cava = [(-2.2 + shift, -1.8, 5.2), (-2.3 + shift, -1.8, 2.6 - 1.4 * share)]
    if tip == "atrium":
        cava = [*cava[:1], (-2.3 + shift, -1.8, 1.0), (-2.0 + shift, -2.4, -4.2 - 1.8 * share)]
    if side == "right":
        path: list[Point] = [(-5.4, -1.5, 20.0), (-4.4, -2.0, 15.0), (-3.3, -2.4, 10.0), *cava]
    else:
        path = [(5.4, -1.5, 20.0), (4.8, -2.0, 15.0), (4.2, -2.6, 10.4), (1.4, -2.8, 7.8), *cava]
    return [_curve(path, 0.17, 12.0)]


def _pocket(value: str, anatomy: Anatomy) -> Point:
    sign = 1.0 if value.startswith("left") else -1.0
    return (sign * 9.2, -anatomy.half_depth - 1.0, 6.4)


def _leads(value: str, anatomy: Anatomy) -> list[Tube]:
    if value == "none":
        return []
    x, y, z = _pocket(value, anatomy)
    sign = np.sign(x)
    into = [(x - sign * 0.6, y, z + 2.4), (sign * 6.6, -4.6, 9.6), (sign * 3.4, -3.2, 9.0)]
    into += [(sign * 1.2 - 0.7, -2.8, 7.2)]
    atrium = max(anatomy.dome_z + 2.3, -9.5) + 4.2
    size = anatomy.heart_ratio / 0.45
    cava: Point = (-2.1, -1.9, 4.6)
    ventricle: list[Point] = [
        (-2.4, -2.2, atrium),
        (-0.2, -3.8, atrium - 4.6),
        (5.2 * size, -6.0, atrium - 5.6),
    ]
    tubes = [_curve([*into, cava, *ventricle], 0.13, 9.0)]
    tubes.append(_curve([ventricle[-1], (5.2 * size + 1.0, -6.2, atrium - 5.7)], 0.2, 12.0))
    if value.endswith("dual"):
        beside = [(px + 0.45, py, pz - 0.25) for px, py, pz in into]
        loop: list[Point] = [
            (-2.6, -2.4, atrium - 0.4),
            (-2.0, -4.0, atrium - 1.2),
            (-0.9, -4.6, atrium + 1.0),
        ]
        tubes.append(_curve([*beside, (-1.7, -1.9, 4.4), *loop], 0.13, 9.0))
    return tubes


def _add_generator(absorbed_HW: Array, value: str, anatomy: Anatomy, camera: Camera) -> None:
    """Add the case of the generator: a rounded block, thin from front to back."""
    x, y, z = _pocket(value, anatomy)
    patch = chords(camera, Ellipsoid((x, y, z), (2.5, 0.75, 2.1)))
    patch.values_hw[...] = ramp(patch.values_hw - 0.45, 0.5) * (26.0 if camera.lateral else 16.0)
    patch.raise_to(absorbed_HW)


def _monitor(anatomy: Anatomy, wires: Array) -> list[Tube]:
    """Return three skin electrodes, each with a wire that leaves over the shoulder or the flank."""
    front = -anatomy.half_depth - anatomy.fat - 2.2
    ends = [((-9.5, 5.5), (-12.0, 20.0)), ((9.0, 6.0), (13.5, 20.0)), ((11.0, -6.0), (21.0, -13.0))]
    tubes = []
    for ((x, z), (far_x, far_z)), (dx, dz, bend) in zip(ends, wires, strict=True):
        start = (x + dx, front, z + dz)
        half_way = ((x + far_x) / 2 + 1.5 * bend, front, (z + far_z) / 2 - 1.0)
        tubes.append(_curve([start, half_way, (far_x, front, far_z)], 0.1, 4.0))
        tubes.append(
            _curve([(start[0] - 0.35, front, start[2]), (start[0] + 0.35, front, start[2])], 0.5, 1.4)
        )
    return tubes
