"""What the view check learns from: phantom chests from the front and the side, and everything else.

A picture depends on the seed, its pool and its place alone. Held-out pictures are those of another seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echo_node.domain.studies.study import GreyImage
from echo_node.inference.view_check import SIDE, shrunk
from training.phantom.dataset import PhantomDataset
from training.view_check.others import KINDS

_SIZE = 128
"""Pixels a side of what is rendered: the least that the phantoms allow."""

_KINDS = tuple(KINDS)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Three pools (count, SIDE, SIDE) uint8, all upright, bone bright, the heart on the image's right."""

    frontal: NDArray[np.uint8]
    lateral: NDArray[np.uint8]
    others: NDArray[np.uint8]


def kind_of(place: int) -> str:
    """Return which kind of `others.KINDS` the picture at a place of the pool is of."""
    return _KINDS[place % len(_KINDS)]


def render_pictures(
    seed: int, counts: tuple[int, int, int], note: Callable[[], None] = lambda: None
) -> Pictures:
    """Render so many pictures of each pool; *note* is called after each one. A body is in one pool only."""
    frontal, lateral, others = counts
    phantoms = PhantomDataset(frontal + lateral, seed, _SIZE)

    def pool(count: int, picture: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        made = np.empty((count, SIDE, SIDE), dtype=np.uint8)
        for place in range(count):
            made[place] = shrunk(GreyImage(_SIZE, _SIZE, picture(place).tobytes()))
            note()
        return made

    return Pictures(
        pool(frontal, lambda place: phantoms[place].image),
        pool(lateral, lambda place: phantoms.view(frontal + place, "LATERAL")),
        pool(others, lambda place: KINDS[kind_of(place)](np.random.default_rng([seed, 1, place]), _SIZE)),
    )
