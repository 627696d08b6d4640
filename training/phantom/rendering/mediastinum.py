"""Mediastinum: heart, great vessels, hila and airways."""

from __future__ import annotations

import numpy as np

from training.phantom.rendering.anatomy import Anatomy
from training.phantom.rendering.camera import Array, Camera
from training.phantom.rendering.solids import Ellipsoid, ramp, union
from training.phantom.rendering.tubes import Tube, sweep

CARINA_Z = 3.0
_SLAB_BACK, _SLAB_FRONT = 4.5, -3.5


def soft_centre(anatomy: Anatomy, camera: Camera, open_HW: Array) -> Array:
    """Return the lung path that heart, vessels and mediastinum displace (H, W), in centimetres.

    The heart is on the diaphragm. If a ray meets the dome (`open_HW` is less than 1), the heart
    displaces less of the lung behind it.
    """
    central_HW = union(camera, [*anatomy.heart(), *great_vessels(anatomy)])
    central_HW *= open_HW * open_HW
    np.maximum(central_HW, _slab(anatomy, camera), out=central_HW)
    return central_HW


def hila(anatomy: Anatomy) -> dict[str, tuple[float, float, float]]:
    """Return the position of each hilum; the left hilum is a little higher."""
    raised = 0.9 * (anatomy.midline_shift < -0.5)
    return {
        "right": (-3.6 + anatomy.midline_shift * 0.6, 0.6, 0.3 + raised),
        "left": (3.8 + anatomy.midline_shift * 0.6, 1.0, 1.2),
    }


def airways(anatomy: Anatomy, camera: Camera) -> Array:
    """Return the path length in the trachea and main bronchi (H, W), in centimetres."""
    shift = anatomy.midline_shift
    hilum = hila(anatomy)
    carina = (0.3 * shift, 1.8, CARINA_Z)
    trachea = np.array([(0.0, -0.5, 20.0), (0.0, 0.5, 13.0), (0.5 * shift - 0.2, 1.4, 7.0), carina])
    right = np.array([(-0.7 + 0.3 * shift, 1.8, 2.4), (-1.7 + shift * 0.4, 1.7, 1.4), hilum["right"]])
    left = np.array([(0.8 + 0.3 * shift, 1.8, 2.5), (2.0 + shift * 0.4, 1.9, 1.7), hilum["left"]])
    return sweep(
        camera,
        [
            Tube(trachea, np.array([0.9, 0.9, 0.95, 0.95])),
            Tube(right, np.array([0.7, 0.62, 0.3]), 0.8),
            Tube(left, np.array([0.6, 0.55, 0.3]), 0.8),
        ],
    )


def great_vessels(anatomy: Anatomy) -> list[Ellipsoid]:
    """Return aorta, vena cava, pulmonary trunk and hila."""
    shift, size = anatomy.midline_shift, anatomy.aorta
    hilum = hila(anatomy)
    return [
        Ellipsoid((2.0 * size + shift * 0.5, 0.6, 6.3), (1.7 * size, 5.0, 1.6 * size)),  # the arch
        Ellipsoid((-1.4 * size + shift, -1.6, 2.2), (1.9 * size, 2.2, 4.6), (1.0, 0.0, 0.1)),  # ascending
        Ellipsoid((2.0 + shift, 4.4, -3.0), (1.3 * size, 1.3, 11.5)),  # descending aorta
        Ellipsoid((2.2 + shift, -1.6, 2.2), (2.4, 3.6, 2.4)),  # pulmonary trunk
        Ellipsoid(hilum["right"], (1.5, 1.7, 2.4), (1.0, 0.0, 0.35)),
        Ellipsoid(hilum["left"], (1.5, 1.7, 2.0), (1.0, 0.0, -0.3)),
    ]


def _slab(anatomy: Anatomy, camera: Camera) -> Array:
    """Return the mediastinum itself: vena cava right, subclavian artery left, spine behind."""
    shift = anatomy.midline_shift * 0.6
    u_W, z_H = camera.grid()
    above_H = np.clip((z_H - 6.0) / 6.0, 0.0, 1.0)
    right_H = 2.7 - 0.3 * above_H - 0.5 * ramp(-4.0 - z_H, 6.0)
    left_H = 2.3 + 0.5 * above_H - 0.3 * ramp(-4.0 - z_H, 6.0)
    if camera.lateral:
        back_H = anatomy.spine_y(z_H)[:, None]
        inside_HW = ramp(u_W - _SLAB_FRONT - 2.5 * above_H[:, None], 2.5) * ramp(_SLAB_BACK - u_W, 1.5)
        spine_HW = ramp(u_W - back_H + 1.8, 0.6)
        inside_HW *= ((right_H + left_H) * 0.72)[:, None]
        return np.asarray(np.maximum(inside_HW, 3.4 * spine_HW), dtype=np.float32)
    soft_H = 0.6 + 2.4 * ramp(2.5 - z_H, 5.0)
    beside_heart_H = ramp(1.0 - z_H, 6.0) * ramp(z_H - anatomy.dome_z - 1.0, 3.0)
    deep_H = 2.0 * anatomy.half_depth * (1.0 - 0.34 * beside_heart_H)
    away_HW = np.minimum(u_W + (right_H - shift)[:, None], (left_H + shift)[:, None] - u_W)
    inside_HW = np.clip(away_HW / soft_H[:, None] + 0.5, 0.0, 1.0)
    return np.asarray(inside_HW * (2.0 - inside_HW) * deep_H[:, None], dtype=np.float32)
