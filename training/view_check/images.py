"""Images to train the view check on: chests of every view, and other images.

An image depends only on the seed, its pool and its index. Images of another seed are held out for
measuring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from echo_node.domain.studies.study import GreyImage
from echo_node.inference.view_check import SIDE, shrunk
from training.phantom.dataset import PhantomDataset
from training.view_check.not_chest import KINDS
from training.view_check.scenes import HARD, decubitus, hard_frontal, lateral, oblique

_SIZE = 128
"""Side of the rendered images, in pixels: the minimum that the phantoms allow."""

_KINDS = tuple(KINDS)
_HARD = tuple(HARD)


class PoolSizes(NamedTuple):
    """Number of images in each pool."""

    frontal: int
    lateral: int
    oblique: int
    decubitus: int
    others: int


@dataclass(frozen=True, slots=True)
class ImagePools:
    """Pools of images, each (count, SIDE, SIDE) uint8.

    Chests are upright, with bright bones; frontal ones have the heart on the right of the image.
    The first half of `frontal` and `lateral` are phantoms, the second half is made of scenes.
    """

    frontal: NDArray[np.uint8]
    lateral: NDArray[np.uint8]
    oblique: NDArray[np.uint8]
    decubitus: NDArray[np.uint8]
    others: NDArray[np.uint8]


def kind_of(place: int) -> str:
    """Return the kind, from `not_chest.KINDS`, of the image at an index of the pool of others."""
    return _KINDS[place % len(_KINDS)]


def hard_kind_of(place: int) -> str:
    """Return the kind, from `scenes.HARD`, of the hard frontal image at an index."""
    return _HARD[place % len(_HARD)]


def render_pools(seed: int, counts: PoolSizes, note: Callable[[], None] = lambda: None) -> ImagePools:
    """Render the pools; no body is in two pools.

    Args:
        seed: random seed of all images.
        counts: number of images in each pool.
        note: called after each image.
    """
    phantoms = PhantomDataset(counts.frontal + counts.lateral, seed, _SIZE)

    def generator(pool: int, place: int) -> np.random.Generator:
        return np.random.default_rng([seed, pool, place])

    def frontal(place: int) -> NDArray[np.uint8]:
        if place < counts.frontal // 2:
            return phantoms[place].image
        return hard_frontal(hard_kind_of(place), generator(2, place), _SIZE)

    def from_the_side(place: int) -> NDArray[np.uint8]:
        if place < counts.lateral // 2:
            return phantoms.view(counts.frontal + place, "LATERAL")
        return lateral(generator(3, place), _SIZE)

    return ImagePools(
        rendered(counts.frontal, frontal, note),
        rendered(counts.lateral, from_the_side, note),
        rendered(counts.oblique, lambda place: oblique(generator(4, place), _SIZE), note),
        rendered(counts.decubitus, lambda place: decubitus(generator(5, place), _SIZE), note),
        rendered(counts.others, lambda place: KINDS[kind_of(place)](generator(1, place), _SIZE), note),
    )


def rendered(
    count: int, make: Callable[[int], NDArray[np.uint8]], note: Callable[[], None] = lambda: None
) -> NDArray[np.uint8]:
    """Return images (count, SIDE, SIDE) in the size of the network's input, by their index."""
    images = np.empty((count, SIDE, SIDE), dtype=np.uint8)
    for place in range(count):
        image = make(place)
        images[place] = shrunk(GreyImage(image.shape[1], image.shape[0], image.tobytes()))
        note()
    return images
