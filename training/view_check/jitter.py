"""Examples for the view check: images in the orientation of a class, with realistic variation.

Jitter changes only what does not depend on the view: position, size, rotation by a few degrees,
shape, exposure, local contrast, noise, collimator borders, markers, and a whited-out region. Shape
suffixes: B images, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from echo_node.domain.studies.appearance import Appearance
from echo_node.inference.view_check import KNOWN, evened
from training.view_check.images import ImagePools

SHARES = {
    Appearance.FRONTAL: 0.32,
    Appearance.MIRRORED: 0.08,
    Appearance.UPSIDE_DOWN: 0.05,
    Appearance.SIDEWAYS: 0.07,
    Appearance.INVERTED: 0.06,
    Appearance.LATERAL: 0.10,
    Appearance.OBLIQUE: 0.13,
    Appearance.DECUBITUS: 0.09,
    Appearance.NO_CHEST: 0.10,
}
"""Share of each class among random examples."""

_FLIPS = 8
_ANY_POLARITY = (Appearance.LATERAL, Appearance.OBLIQUE, Appearance.DECUBITUS, Appearance.NO_CHEST)
"""Classes that do not depend on which of bone and air is bright."""


@dataclass(frozen=True, slots=True)
class JitteredExamples:
    """Jittered images in the input size of the network.

    Attributes:
        small: images (B, SIDE, SIDE).
        classes: class of each image (B,), as an index into KNOWN.
        places: index of each image in its pool (B,).
    """

    small: NDArray[np.uint8]
    classes: NDArray[np.int64]
    places: NDArray[np.int64]

    @property
    def inputs(self) -> Tensor:
        """Input of the network: (B, 1, SIDE, SIDE)."""
        return torch.from_numpy(np.stack([evened(each) for each in self.small]))[:, None]


def random_examples(pools: ImagePools, count: int, rng: np.random.Generator) -> JitteredExamples:
    """Return *count* jittered examples of random classes."""
    shares = np.array([SHARES[each] for each in KNOWN])
    return jittered_examples(pools, rng.choice(len(KNOWN), size=count, p=shares), rng)


def jittered_examples(
    pools: ImagePools, classes: NDArray[np.int64], rng: np.random.Generator, first: int | None = None
) -> JitteredExamples:
    """Return a jittered example of each of *classes*.

    Args:
        pools: source images.
        classes: classes of the examples (B,), as indices into KNOWN.
        rng: source of random numbers.
        first: index, within its pool, of the first image to use; the following images come next.
            None uses random images.
    """
    places = np.empty(len(classes), dtype=np.int64)
    chosen = []
    rotations = np.empty(len(classes), dtype=np.float32)
    inverted = np.zeros(len(classes), dtype=bool)
    for row, number in enumerate(classes):
        looks = KNOWN[number]
        pool = _pool(pools, looks, rng)
        places[row] = rng.integers(len(pool)) if first is None else (first + row) % len(pool)
        chosen.append(_oriented(pool[places[row]], _flip(looks, rng)))
        inverted[row] = looks is Appearance.INVERTED or (looks in _ANY_POLARITY and rng.random() < 0.2)
        rotations[row] = rng.uniform(-np.pi, np.pi) if looks is Appearance.NO_CHEST else rng.normal(0.0, 0.06)
    images = torch.from_numpy(np.stack(chosen)).float() / 255.0
    small = _jittered(images, torch.from_numpy(rotations), torch.from_numpy(inverted), rng)
    return JitteredExamples(small, classes, places)


def _pool(pools: ImagePools, looks: Appearance, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the pool of a class. A patient who lies on one side may appear so in the image."""
    if looks is Appearance.SIDEWAYS and rng.random() < 0.3:
        return pools.decubitus
    return {
        Appearance.LATERAL: pools.lateral,
        Appearance.OBLIQUE: pools.oblique,
        Appearance.DECUBITUS: pools.decubitus,
        Appearance.NO_CHEST: pools.others,
    }.get(looks, pools.frontal)


def _flip(looks: Appearance, rng: np.random.Generator) -> int:
    """Return an orientation of a class; bit 0: mirrored, bits 1 and 2: number of quarter turns."""
    if looks is Appearance.MIRRORED:
        return 1
    if looks is Appearance.UPSIDE_DOWN:
        return int(rng.choice([4, 5]))
    if looks is Appearance.SIDEWAYS:
        return int(rng.choice([2, 3, 6, 7]))
    if looks is Appearance.INVERTED:
        return int(rng.integers(_FLIPS)) if rng.random() < 0.3 else 0
    if looks is Appearance.DECUBITUS:
        return int(rng.integers(2))
    if looks in (Appearance.LATERAL, Appearance.OBLIQUE):
        return int(rng.integers(_FLIPS)) if rng.random() < 0.2 else int(rng.integers(2))
    return int(rng.integers(_FLIPS)) if looks is Appearance.NO_CHEST else 0


def _oriented(image: NDArray[np.uint8], flip: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if flip & 1 else image, flip >> 1))


def _jittered(
    images_BHW: Tensor, rotations: Tensor, inverted: Tensor, rng: np.random.Generator
) -> NDArray[np.uint8]:
    count, size, _ = images_BHW.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, *shape)).astype(np.float32))

    def chosen(share: float) -> Tensor:
        return torch.from_numpy(rng.random(count) < share)

    def map_of(cells: int) -> Tensor:
        nodes = torch.from_numpy(rng.standard_normal((count, 1, cells, cells)).astype(np.float32))
        return _spread(nodes, size)

    # Position, size, rotation and shape; the area outside the detector is black or white.
    scale = torch.exp(uniform(-0.26, 0.22))  # size of the visible field; below 1 magnifies
    aspect = torch.exp(uniform(-0.10, 0.10))
    across, down = scale * aspect, scale / aspect
    cosine, sine = torch.cos(rotations), torch.sin(rotations)
    shift = uniform(-0.2, 0.2, 2)
    matrix = torch.stack(
        [
            torch.stack([cosine * across, -sine * down, shift[:, 0]], dim=1),
            torch.stack([sine * across, cosine * down, shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(matrix, [count, 1, size, size], align_corners=False)
    bend = uniform(0.0, 0.04, 1, 1)
    grid = grid + torch.stack([map_of(4) * bend, map_of(4) * bend], dim=-1)
    shown = functional.grid_sample(images_BHW[:, None], grid, align_corners=False)[:, 0]
    beside = (grid.abs() > 1.0).any(dim=-1) & (chosen(0.25))[:, None, None]
    shown = torch.where(beside, torch.ones(()), shown)

    # Exposure, uneven fields, local contrast, sharpness, noise.
    soft = functional.avg_pool2d(shown[:, None], 3, stride=1, padding=1)[:, 0]
    shown = torch.where(chosen(0.2)[:, None, None], soft, shown)
    low, high = uniform(0.0, 0.25, 1, 1), uniform(0.65, 1.0, 1, 1)
    shown = ((shown - low) / (high - low)).clamp(0.0, 1.0)
    shown = shown + uniform(0.0, 0.12, 1, 1) * map_of(3)
    wide = _spread(functional.avg_pool2d(shown[:, None], size // 6), size)
    shown = shown - uniform(-0.2, 0.8, 1, 1) * (wide - wide.mean(dim=(1, 2), keepdim=True))
    near = _spread(functional.avg_pool2d(shown[:, None], 2), size)
    shown = shown + uniform(-0.8, 0.8, 1, 1) * (shown - near)
    grain = torch.from_numpy(rng.standard_normal(shown.shape, dtype=np.float32))
    shown = (shown + uniform(0.0, 0.08, 1, 1) * grain).clamp(0.0, 1.0)

    # A region that is whited out or black, markers, the collimator.
    line = torch.linspace(-1.0, 1.0, size)
    x, y = line[None, None, :], line[None, :, None]
    middle, radii = uniform(-0.8, 0.8, 2), uniform(0.1, 0.42, 2)
    inside = ((x - middle[:, :1, None]) / radii[:, :1, None]) ** 2 + (
        (y - middle[:, 1:, None]) / radii[:, 1:, None]
    ) ** 2
    veil = (1.5 - inside).clamp(0.0, 1.0) * uniform(0.3, 1.0, 1, 1) * chosen(0.25)[:, None, None]
    shown = shown + veil * (chosen(0.75).float()[:, None, None] - shown)
    for _ in range(2):
        spot, half = uniform(-0.95, 0.95, 2), uniform(0.02, 0.09, 2)
        marker = ((x - spot[:, :1, None]).abs() < half[:, :1, None]) & (
            (y - spot[:, 1:, None]).abs() < half[:, 1:, None]
        )
        shown = torch.where(marker & chosen(0.4)[:, None, None], torch.ones(()), shown)
    # Negative rims are outside the image.
    rims = uniform(-0.25, 0.3, 4) * chosen(0.4)[:, None].float()
    covered = (x < rims[:, 0, None, None] - 1) | (x > 1 - rims[:, 1, None, None])
    covered = covered | (y < rims[:, 2, None, None] - 1) | (y > 1 - rims[:, 3, None, None])
    shown = torch.where(covered, chosen(0.3).float()[:, None, None], shown)

    shown = torch.where(inverted[:, None, None], 1.0 - shown, shown)
    # The bars next to an oblong image are black, even if the image is inverted.
    bars = uniform(0.0, 0.3) * chosen(0.4).float()
    upright = chosen(0.5)[:, None, None]
    barred = torch.where(upright, x.abs() > 1 - bars[:, None, None], y.abs() > 1 - bars[:, None, None])
    shown = torch.where(barred, torch.zeros(()), shown)
    return (shown * 255.0 + 0.5).to(torch.uint8).numpy()


def _spread(coarse: Tensor, size: int) -> Tensor:
    """Return a coarse map (B, 1, h, w), interpolated to (B, size, size)."""
    return functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)[:, 0]
