"""Preparation of a displayed image for the vision tower, in the node and in training.

The arithmetic is that of Qwen2-VL's image processor (rescale, normalise, patch order), without
torchvision.

Shapes: N images, H and W pixels, G patches of one image, C channels.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from echo_node.domain.studies.study import GreyImage, Greyscale
from echo_node.errors import CheckpointError, PermanentError

FILE_NAME = "preprocessor_config.json"


@dataclass(frozen=True, slots=True)
class ImagePreparation:
    """Image preparation of a checkpoint, stored with it as preprocessor_config.json.

    Attributes:
        resize: `square` pads with black to a square and scales it to `side` pixels; `smart` keeps
            the aspect ratio and rounds both sides to whole merged patches, within `min_pixels` and
            `max_pixels`.
        side: side of the square, in pixels; a multiple of patch_size * merge_size.
        min_pixels: minimum area for `smart`, in pixels.
        max_pixels: maximum area for `smart`, in pixels (2,250,000 in the paper).
        patch_size: side of a patch, in pixels.
        temporal_patch_size: number of repetitions of a still image along time.
        merge_size: number of patches along each side that are merged into one token.
        image_mean: mean of each of the three channels, after rescaling to [0, 1].
        image_std: standard deviation of each channel, after rescaling to [0, 1].
        greyscale: conversion of DICOM pixel values to grey values, before this preparation
            (dicom/image/greyscale.py).
    """

    resize: Literal["square", "smart"] = "smart"
    side: int = 224
    min_pixels: int = 56 * 56
    max_pixels: int = 2_250_000
    patch_size: int = 14
    temporal_patch_size: int = 2
    merge_size: int = 2
    image_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    greyscale: Greyscale = Greyscale.WINDOW

    def resized(self, image: GreyImage) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the image in the size for the model, as unsigned bytes (H, W)."""
        picture = Image.frombytes("L", (image.width, image.height), image.pixels)
        if self.resize == "square":
            longest = max(picture.size)
            canvas = Image.new("L", (longest, longest))
            canvas.paste(picture, ((longest - picture.width) // 2, (longest - picture.height) // 2))
            size = (self.side, self.side)
            return np.asarray(canvas.resize(size, Image.Resampling.BICUBIC))
        return np.asarray(picture.resize(self._smart_size(*picture.size), Image.Resampling.BICUBIC))

    def _smart_size(self, width: int, height: int) -> tuple[int, int]:
        """Round to whole tokens within the pixel limits (Qwen2-VL's smart_resize)."""
        factor = self.patch_size * self.merge_size
        if max(width, height) > 200 * min(width, height):
            raise PermanentError("one side of the image is more than 200 times as long as the other")
        rows, columns = (max(1, round(side / factor)) for side in (height, width))
        area = rows * columns * factor**2
        if area > self.max_pixels:
            scale = math.sqrt(height * width / self.max_pixels)
            rows, columns = (max(1, math.floor(side / scale / factor)) for side in (height, width))
        elif area < self.min_pixels:
            scale = math.sqrt(self.min_pixels / (height * width))
            rows, columns = (math.ceil(side * scale / factor) for side in (height, width))
        return columns * factor, rows * factor

    def patches(self, image_NHW: Tensor) -> tuple[Tensor, Tensor]:
        """Cut images of one size into normalised patches.

        Args:
            image_NHW: unsigned bytes, or floats in [0, 255].

        Returns:
            Patches (N * G, C * time * patch * patch), in the order in which the tower merges them,
            and the grid (N, 3): the number of patches along time, height and width.
        """
        count, height, width = image_NHW.shape
        size, merge, time = self.patch_size, self.merge_size, self.temporal_patch_size
        rows, columns = height // size, width // size
        mean, std = (torch.tensor(v, device=image_NHW.device) for v in (self.image_mean, self.image_std))
        image_NCHW = (image_NHW[:, None].float() / 255 - mean[:, None, None]) / std[:, None, None]
        cut = image_NCHW.reshape(count, 3, rows // merge, merge, size, columns // merge, merge, size).permute(
            0, 2, 5, 3, 6, 1, 4, 7
        )
        repeated = cut[:, :, :, :, :, :, None].expand(-1, -1, -1, -1, -1, -1, time, -1, -1)
        grid = self.grid(count, height, width).to(image_NHW.device)
        return repeated.reshape(count * rows * columns, 3 * time * size * size), grid

    def grid(self, count: int, height: int, width: int) -> Tensor:
        """Return the grid (N, 3) of images of one size: patches along time, height and width."""
        return torch.tensor([[1, height // self.patch_size, width // self.patch_size]] * count)

    def tokens(self, grid_thw: Tensor) -> int:
        """Return the number of tokens of one image with this grid (3,)."""
        return int(grid_thw.prod()) // self.merge_size**2

    def save(self, folder: Path) -> None:
        """Write preprocessor_config.json."""
        (folder / FILE_NAME).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ImagePreparation:
        """Read preprocessor_config.json, and ignore keys of other processors.

        Raises:
            CheckpointError: the file does not exist, is not JSON, or names an unknown conversion.
        """
        try:
            stored = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(f"{folder} has no {FILE_NAME}") from None
        except json.JSONDecodeError as error:
            raise CheckpointError(f"{folder / FILE_NAME} is not JSON") from error
        known = {key: stored[key] for key in cls.__dataclass_fields__ if key in stored}
        for key in ("image_mean", "image_std"):
            if key in known:
                known[key] = tuple(known[key])
        try:
            known["greyscale"] = Greyscale(known.get("greyscale", Greyscale.WINDOW))
        except ValueError:
            allowed = ", ".join(Greyscale)
            raise CheckpointError(f"{folder / FILE_NAME}: greyscale must be one of {allowed}") from None
        return cls(**known)


def read_image_file(path: Path) -> GreyImage:
    """Read a PNG, JPEG or other image file as it would be displayed.

    Raises:
        PermanentError: the file is not an image, is truncated, or is too large.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
                values = np.asarray(picture, dtype=np.float32)
                span = float(values.max() - values.min()) or 1.0
                grey = Image.fromarray(((values - values.min()) / span * 255).astype(np.uint8), "L")
            else:
                grey = picture.convert("L")
            return GreyImage(grey.width, grey.height, grey.tobytes())
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise PermanentError(f"the file cannot be read as an image ({type(error).__name__})") from error
