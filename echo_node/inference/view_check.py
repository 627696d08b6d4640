"""View check: a small network that recognises an upright frontal chest by its pixels.

It has 299,000 weights, reads 64 x 64 grey values and runs in numpy, so that it needs no torch and
takes a few milliseconds. It was trained on phantoms only (training/view_check). The probability of
an upright frontal chest decides between three zones: read, read and marked, not read. The limits of
the zones are stored with the weights.

Shapes: C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open

from echo_node.domain.studies.appearance import Appearance, Sight, Zone
from echo_node.domain.studies.study import GreyImage
from echo_node.errors import CheckpointError

SIDE = 64
"""Side of the network's input, in pixels."""

KNOWN: tuple[Appearance, ...] = tuple(each for each in Appearance if each is not Appearance.UNSURE)
"""Classes of the network, in its order."""

LIMITED = (Zone.READ, Zone.MARKED)
"""Zones with a minimum frontal probability, the highest first."""

_FRONTAL = (Appearance.FRONTAL, Appearance.MIRRORED)

SHIPPED = Path(__file__).resolve().parent.parent / "models" / "view-check" / "view-check.safetensors"

_CONVOLUTIONS = 4
_KERNEL, _STRIDE = 3, 2

Weights = Mapping[str, NDArray[np.float32]]


class ViewCheck:
    """The view check. Implements the AppearanceCheck port.

    Args:
        weights: weights of the network, by their names in training/view_check/network.py.
        sure: minimum probability of each class; below it the appearance is UNSURE.
        limits: minimum frontal probability of the zones READ and MARKED.
    """

    def __init__(
        self, weights: Weights, sure: Mapping[Appearance, float], limits: Mapping[Zone, float]
    ) -> None:
        self._weights = weights
        self._sure = sure
        self._limits = limits

    @classmethod
    def load(cls, path: Path = SHIPPED) -> ViewCheck:
        """Read the weights and the minimum probabilities.

        Raises:
            CheckpointError: the file does not exist, or belongs to another network.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                weights = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
                stated = file.metadata() or {}
            sure = {each: float(stated[each.name.lower()]) for each in KNOWN}
            limits = {each: float(stated[f"zone_{each.name.lower()}"]) for each in LIMITED}
            check = cls(weights, sure, limits)
            check.probabilities(np.zeros((SIDE, SIDE), np.uint8))
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise CheckpointError(f"{path} is not a usable view check: reinstall echo-node") from error
        return check

    def look(self, image: GreyImage) -> Sight:
        """Return the appearance of the image, its frontal probability and its zone."""
        return self.sight(self.probabilities(shrunk(image)))

    def sight(self, probabilities: NDArray[np.float32]) -> Sight:
        """Return the result for probabilities in the order of KNOWN."""
        frontal = float(sum(probabilities[KNOWN.index(each)] for each in _FRONTAL))
        zone = next((each for each in LIMITED if frontal >= self._limits[each]), Zone.REFUSED)
        return Sight(self.named(probabilities), frontal, zone)

    def named(self, probabilities: NDArray[np.float32]) -> Appearance:
        """Return the most probable class, or UNSURE if it is not probable enough.

        Args:
            probabilities: probabilities in the order of KNOWN.
        """
        best = int(probabilities.argmax())
        return KNOWN[best] if probabilities[best] >= self._sure[KNOWN[best]] else Appearance.UNSURE

    def probabilities(self, small_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities of the classes in KNOWN for raw grey values (SIDE, SIDE)."""
        weights = self._weights
        hidden = evened(small_HW)[None]
        for layer in range(_CONVOLUTIONS):
            hidden = _convolved(hidden, weights[f"convolutions.{layer}.weight"])
            hidden += weights[f"convolutions.{layer}.bias"][:, None, None]
            np.maximum(hidden, 0.0, out=hidden)
        flat = weights["hidden.weight"] @ hidden.reshape(-1) + weights["hidden.bias"]
        logits = weights["classes.weight"] @ np.maximum(flat, 0.0) + weights["classes.bias"]
        if logits.shape != (len(KNOWN),):
            raise ValueError("the weights belong to other classes")
        odds = np.exp(logits - logits.max())
        probabilities: NDArray[np.float32] = odds / odds.sum()
        return probabilities


def shrunk(image: GreyImage) -> NDArray[np.uint8]:
    """Return the whole image, padded with black and shrunk by averaging to (SIDE, SIDE)."""
    height, width = image.height, image.width
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.frombuffer("L", (width, height), image.pixels, "raw", "L", 0, 1)
    square = Image.new("L", (SIDE, SIDE))
    square.paste(picture.resize(size, Image.Resampling.BOX), ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return np.asarray(square)


def evened(small_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return grey values as ranks in [-1, 1], which no window or manufacturer's curve changes."""
    counts = np.bincount(small_HW.reshape(-1), minlength=256)
    ranks = (np.cumsum(counts) - 0.5 * counts) * (2.0 / small_HW.size) - 1.0
    evened_HW: NDArray[np.float32] = ranks.astype(np.float32)[small_HW]
    return evened_HW


def _convolved(image_CHW: NDArray[np.float32], kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a 3 x 3 convolution with stride 2 and one pixel of black padding."""
    padded = np.pad(image_CHW, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (_KERNEL, _KERNEL), axis=(1, 2))
    windows = windows[:, ::_STRIDE, ::_STRIDE]
    channels, rows, columns = windows.shape[:3]
    taken = windows.transpose(0, 3, 4, 1, 2).reshape(channels * _KERNEL * _KERNEL, rows * columns)
    convolved: NDArray[np.float32] = kernels.reshape(len(kernels), -1) @ taken
    return convolved.reshape(-1, rows, columns)
