"""The bones of the phantom: ribs, clavicles, spine, and displaced rib fractures with bright callus.

Returns absorption (float32, shape _HW) in the units of `radiograph`. Coordinates and shape suffix as in
`anatomy`.
"""

import numpy as np

from training.phantom.anatomy import Anatomy, Image, blob, ramp

RIB_SPACING = 0.165
FRACTURED_RIBS = 4
FRACTURE_AWAY = 0.56
"""How far from the midline the ribs break."""

_FRACTURE_TOP = -0.42
_DISPLACEMENT = 0.42
"""Of the broken ends, in rib spacings."""


def skeleton(bones: str, anatomy: Anatomy, x_HW: Image, y_HW: Image) -> Image:
    """Return what all bones absorb; `bones` is a value of the fact of that name."""
    cage_HW = ramp(anatomy.wall(y_HW) + 0.035 - np.abs(x_HW), 0.03) * ramp(anatomy.dome_y + 0.22 - y_HW, 0.5)
    ribs_HW = (_back_ribs(bones, anatomy, x_HW, y_HW) + _front_ribs(anatomy, x_HW, y_HW)) * cage_HW
    return ribs_HW + _clavicles(x_HW, y_HW) + _spine(x_HW, y_HW) + _callus(bones, anatomy, x_HW, y_HW)


def _rib_line(anatomy: Anatomy, away: Image | float, rib: Image | float) -> Image | float:
    """Return the height of a back rib's middle at a distance from the midline; `rib` counts from the top."""
    return anatomy.apex_y + 0.05 + anatomy.rib_slope * away * away + RIB_SPACING * (rib + anatomy.rib_phase)


def _back_ribs(bones: str, anatomy: Anatomy, x_HW: Image, y_HW: Image) -> Image:
    away_HW: Image = np.abs(x_HW)
    count_HW = (y_HW - _rib_line(anatomy, away_HW, 0.0)) * np.float32(1.0 / RIB_SPACING)
    if bones != "intact":
        first = _first_fractured(anatomy)
        broken_HW = (count_HW > first - 0.5) & (count_HW < first + FRACTURED_RIBS - 0.5)
        broken_HW &= (away_HW > FRACTURE_AWAY) & ((x_HW > 0) == bones.startswith("left"))
        count_HW = count_HW + np.float32(_DISPLACEMENT) * broken_HW
    wave_HW: Image = np.cos(count_HW * np.float32(2.0 * np.pi))
    body_HW = ramp(wave_HW - 0.25, 0.7)
    cortex_HW: Image = np.maximum(1.0 - np.abs(wave_HW - 0.25) * 2.2, 0.0)
    return 0.13 * body_HW + 0.06 * cortex_HW


def _front_ribs(anatomy: Anatomy, x_HW: Image, y_HW: Image) -> Image:
    away_HW: Image = np.abs(x_HW)
    count_HW = (y_HW + 0.62 * away_HW) * np.float32(1.0 / 0.20) + np.float32(anatomy.rib_phase)
    return 0.07 * ramp(np.cos(count_HW * np.float32(2.0 * np.pi)) - 0.3, 0.8) * ramp(away_HW - 0.38, 0.2)


def _clavicles(x_HW: Image, y_HW: Image) -> Image:
    away_HW: Image = np.abs(x_HW)
    middle_HW: Image = -0.60 - 0.10 * away_HW - 0.06 * np.sin(away_HW * 5.0)
    return 0.20 * ramp(0.032 - np.abs(y_HW - middle_HW), 0.025) * ramp(away_HW - 0.10, 0.03)


def _spine(x_HW: Image, y_HW: Image) -> Image:
    discs_HW: Image = 0.5 + 0.5 * np.cos(y_HW * np.float32(2.0 * np.pi / 0.15))
    return (0.24 + 0.08 * ramp(discs_HW - 0.35, 0.5)) * ramp(0.095 - np.abs(x_HW), 0.03)


def _callus(bones: str, anatomy: Anatomy, x_HW: Image, y_HW: Image) -> Image:
    callus_HW = np.zeros_like(x_HW)
    if bones == "intact":
        return callus_HW
    center_x = FRACTURE_AWAY if bones.startswith("left") else -FRACTURE_AWAY
    first = _first_fractured(anatomy)
    for rib in range(first, first + FRACTURED_RIBS):
        center_y = float(_rib_line(anatomy, FRACTURE_AWAY, rib - _DISPLACEMENT / 2))
        callus_HW += blob(x_HW, y_HW, (center_x + 0.02 * (-1) ** rib, center_y), (0.05, 0.045))
    return 0.55 * callus_HW


def _first_fractured(anatomy: Anatomy) -> int:
    top = float(_rib_line(anatomy, FRACTURE_AWAY, 0.0))
    return int(np.ceil((_FRACTURE_TOP - top) / RIB_SPACING))
