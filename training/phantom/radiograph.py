"""Renders findings as a posteroanterior chest radiograph, by adding up what each tissue absorbs.

Bone, fluid and metal are bright (MONOCHROME2); the patient's left is on the image's right. The image depends
on the findings and on the generator's state only, and the anatomy is drawn before anything that the findings
could change. Shape suffix: `_HW` is (size, size) float32.
"""

import numpy as np
from numpy.typing import NDArray

from training.phantom import lesions
from training.phantom.anatomy import Anatomy, Image, blob, ramp, smooth_noise
from training.phantom.findings import Findings
from training.phantom.skeleton import skeleton

MIN_SIZE = 128


def render(findings: Findings, rng: np.random.Generator, size: int = 224) -> NDArray[np.uint8]:
    """Return a (size, size) uint8 radiograph, 0 black to 255 white.

    Raises:
        ValueError: `size` is under 128 pixels, where thin lines would vanish.
    """
    return (project(findings, rng, size) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)


def project(findings: Findings, rng: np.random.Generator, size: int) -> Image:
    """Return the same image as `render` before rounding: (size, size) float32 in [0, 1].

    Raises:
        ValueError: `size` is under 128 pixels.
    """
    if size < MIN_SIZE:
        message = f"a phantom radiograph needs at least {MIN_SIZE} pixels a side, not {size}"
        raise ValueError(message)
    anatomy, extent = Anatomy.sample(rng), lesions.Extent.sample(rng)
    coarse_HW, fine_HW = smooth_noise(rng, 5, size), smooth_noise(rng, 40, size)
    x_HW, y_HW = anatomy.coordinates(size)
    absorbed_HW = _absorption(findings, anatomy, extent, x_HW, y_HW, fine_HW)
    exposed_HW = absorbed_HW * np.float32(anatomy.penetration) + np.float32(0.03) * coarse_HW
    image_HW = np.float32(anatomy.brightness) * (1.0 - np.exp(-np.maximum(exposed_HW, 0.0)))
    grain_HW = rng.standard_normal((size, size), dtype=np.float32) * np.float32(anatomy.quantum_noise)
    return np.clip(image_HW + grain_HW, 0.0, 1.0).astype(np.float32)


def _absorption(
    findings: Findings, anatomy: Anatomy, extent: lesions.Extent, x_HW: Image, y_HW: Image, fine_HW: Image
) -> Image:
    body_HW = _body(x_HW, y_HW)
    lung_HW = _lungs(anatomy, x_HW, y_HW)
    heart_HW = _heart(findings.heart, anatomy, x_HW, y_HW)
    central_HW = _mediastinum(x_HW, y_HW)
    free_air_HW, pleura_HW = lesions.collapse(findings.pneumothorax, extent, anatomy, x_HW, y_HW)
    patch_HW = lesions.consolidation(findings.opacity, extent, x_HW, y_HW) * lung_HW
    fluid_HW = lesions.fluid(findings.effusion, extent, anatomy, x_HW, y_HW)
    patch_HW = patch_HW * (1.0 - fluid_HW) * np.clip(0.86 + 0.22 * fine_HW, 0.0, 1.0)
    vessels_HW = _vessels(anatomy, x_HW, y_HW, fine_HW) * (1.0 - free_air_HW)

    soft_HW = 1.0 - 0.86 * np.maximum(heart_HW, central_HW)
    air_HW = lung_HW * soft_HW * (1.0 - 0.66 * patch_HW) * (1.0 - fluid_HW)
    air_HW = air_HW * (1.0 + 0.16 * free_air_HW - 0.22 * vessels_HW)
    tissue = 1.02 + anatomy.fat
    absorbed_HW: Image = body_HW * (tissue - (0.86 + 0.5 * anatomy.fat) * air_HW)
    absorbed_HW = absorbed_HW + (0.10 * heart_HW + 0.16 * fluid_HW) * lung_HW + 0.26 * patch_HW
    absorbed_HW = absorbed_HW + 0.16 * pleura_HW * lung_HW + _abdomen(anatomy, x_HW, y_HW) * body_HW
    absorbed_HW = absorbed_HW + anatomy.breast * _breasts(x_HW, y_HW)
    absorbed_HW = absorbed_HW + skeleton(findings.bones, anatomy, x_HW, y_HW) * body_HW
    absorbed_HW = absorbed_HW - 0.30 * _trachea(x_HW, y_HW)
    return absorbed_HW + 1.3 * lesions.device(findings.device, extent, x_HW, y_HW)


def _body(x_HW: Image, y_HW: Image) -> Image:
    shoulders_HW = 0.26 + 0.90 * ramp(y_HW + 0.80 - 0.10 * np.abs(x_HW), 0.22)
    flank_HW = shoulders_HW - 0.16 * ramp(y_HW - 0.1, 0.9)
    return ramp(flank_HW - np.abs(x_HW), 0.10)


def _lungs(anatomy: Anatomy, x_HW: Image, y_HW: Image) -> Image:
    away_HW: Image = np.abs(x_HW)
    sides_HW = ramp(anatomy.wall(y_HW) - away_HW, 0.035) * ramp(away_HW - 0.10, 0.05)
    return sides_HW * ramp(anatomy.diaphragm(x_HW) - y_HW, 0.03) * ramp(y_HW - anatomy.apex_y, 0.08)


def _heart(value: str, anatomy: Anatomy, x_HW: Image, y_HW: Image) -> Image:
    right, left = (reach + anatomy.heart_width for reach in lesions.HEART_EXTENTS[value])
    tilted_HW = y_HW - np.float32(0.24) - np.float32(0.22) * x_HW
    height = 0.24 + 0.22 * (right + left)
    across_HW: Image = x_HW * np.where(x_HW > 0, np.float32(1.0 / left), np.float32(1.0 / right))
    down_HW = tilted_HW * np.float32(1.0 / height)
    return ramp(1.0 - np.sqrt(across_HW * across_HW + down_HW * down_HW), 0.09)


def _mediastinum(x_HW: Image, y_HW: Image) -> Image:
    waist_HW = 0.145 + 0.11 * ramp(y_HW + 0.08, 0.36)
    column_HW = ramp(waist_HW - np.abs(x_HW + 0.01), 0.06)
    knob_HW: Image = np.minimum(blob(x_HW, y_HW, (0.12, -0.29), (0.10, 0.12)) * 1.5, 1.0)
    hila_HW = blob(np.abs(x_HW), y_HW, (0.21, -0.05), (0.13, 0.19)) * 0.6
    central_HW: Image = np.maximum(1.0 - (1.0 - column_HW) * (1.0 - knob_HW), hila_HW)
    return central_HW


def _trachea(x_HW: Image, y_HW: Image) -> Image:
    return ramp(0.055 - np.abs(x_HW), 0.04) * ramp(-0.28 - y_HW, 0.12)


def _vessels(anatomy: Anatomy, x_HW: Image, y_HW: Image, fine_HW: Image) -> Image:
    """Branching markings that fan out of each hilum and thin towards the wall."""
    across_HW, down_HW = np.abs(x_HW) - 0.14, y_HW + 0.05
    radius_HW: Image = np.sqrt(across_HW * across_HW + down_HW * down_HW)
    angle_HW = np.arctan2(down_HW, across_HW)
    fan_HW: Image = np.cos(angle_HW * 13.0 + 5.0 * radius_HW + 0.9 * fine_HW)
    branches_HW: Image = np.maximum(fan_HW, 0.0) ** 2 * np.clip(1.05 - 1.7 * radius_HW, 0.0, 1.0)
    return anatomy.markings * branches_HW


def _abdomen(anatomy: Anatomy, x_HW: Image, y_HW: Image) -> Image:
    below_HW = ramp(y_HW - anatomy.diaphragm(x_HW), 0.06)
    gas_HW = blob(x_HW, y_HW, (0.42, anatomy.dome_y + 0.20), (0.17, 0.09))
    return below_HW * (0.22 - 0.35 * gas_HW)


def _breasts(x_HW: Image, y_HW: Image) -> Image:
    return blob(np.abs(x_HW), y_HW, (0.52, 0.36), (0.30, 0.26))
