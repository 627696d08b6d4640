"""Images to train the view check on: frontal and lateral phantom chests, and other images.

An image depends only on the seed, its pool and its index. Images of another seed are held out for
measuring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echo_node.domain.studies.study import GreyImage
from echo_node.inference.view_check import SIDE, shrunk
from training.phantom.dataset import PhantomDataset
from training.view_check.not_chest import KINDS

_SIZE = 128
"""Side of the rendered images, in pixels: the minimum that the phantoms allow."""

_KINDS = tuple(KINDS)


@dataclass(frozen=True, slots=True)
class ImagePools:
    """Three pools of images, each (count, SIDE, SIDE) uint8.

    Chests are upright, with bright bones and the heart on the right of the image.
    """

    frontal: NDArray[np.uint8]
    lateral: NDArray[np.uint8]
    others: NDArray[np.uint8]


def kind_of(place: int) -> str:
    """Return the kind, from `others.KINDS`, of the image at an index of the pool of others."""
    return _KINDS[place % len(_KINDS)]


def render_pools(
    seed: int, counts: tuple[int, int, int], note: Callable[[], None] = lambda: None
) -> ImagePools:
    """Render the pools; no body is in two pools.

    Args:
        seed: random seed of all images.
        counts: number of images in each pool: frontal, lateral, others.
        note: called after each image.
    """
    frontal, lateral, others = counts
    phantoms = PhantomDataset(frontal + lateral, seed, _SIZE)

    def pool(count: int, rendered: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        images = np.empty((count, SIDE, SIDE), dtype=np.uint8)
        for place in range(count):
            images[place] = shrunk(GreyImage(_SIZE, _SIZE, rendered(place).tobytes()))
            note()
        return images

    return ImagePools(
        pool(frontal, lambda place: phantoms[place].image),
        pool(lateral, lambda place: phantoms.view(frontal + place, "LATERAL")),
        pool(others, lambda place: KINDS[kind_of(place)](np.random.default_rng([seed, 1, place]), _SIZE)),
    )
