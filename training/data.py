"""Examples to train and evaluate on: images in the size that the model gets, and report texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.phantom.dataset import PhantomDataset
from training.phantom.findings import FACTS, Findings
from training.phantom.grammar import write_report

Images = NDArray[np.uint8]


class Examples(Protocol):
    """Images with reports; a report may be worded anew in each epoch."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def images(self, indices: Sequence[int]) -> Images:
        """Return images (N, H, W)."""
        ...

    def report(self, index: int, epoch: int) -> str:
        """Return the report of an image as the model shall write it."""
        ...

    def findings(self, index: int) -> list[int]:
        """Return the value of each kind of finding, as its place among that kind's values."""
        ...


class PhantomExamples:
    """Phantoms, rendered once and kept in memory (side * side bytes each), reworded in every epoch."""

    def __init__(
        self, count: int, seed: int, side: int, advance: Callable[[int], None] | None = None
    ) -> None:
        """Render *count* phantoms on all cores; *advance* is told how many have been added."""
        self._seed = seed
        self._dataset = PhantomDataset(count, seed, side)
        self._images = np.empty((count, side, side), dtype=np.uint8)
        self.truths: list[Findings] = []
        chunks = [range(start, min(start + 64, count)) for start in range(0, count, 64)]
        render = partial(_render, count, seed, side)
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            for chunk, (images, truths) in zip(chunks, pool.map(render, chunks), strict=True):
                self._images[chunk.start : chunk.stop] = images
                self.truths.extend(truths)
                if advance is not None:
                    advance(len(chunk))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def images(self, indices: Sequence[int]) -> Images:
        """Return images (N, H, W)."""
        return self._images[list(indices)]

    def report(self, index: int, epoch: int) -> str:
        """Return a report of phantom *index* in the wording of *epoch*."""
        rng = np.random.default_rng([self._seed, index, epoch])
        return write_report(self.truths[index], rng).text

    def findings(self, index: int) -> list[int]:
        """Return the value of each kind of finding, as its place among that kind's values."""
        stated = self.truths[index].as_dict()
        return [values.index(stated[fact]) for fact, values in FACTS.items()]


def _render(count: int, seed: int, side: int, chunk: range) -> tuple[Images, list[Findings]]:
    dataset = PhantomDataset(count, seed, side)
    cases = [dataset[index] for index in chunk]
    return np.stack([case.image for case in cases]), [case.findings for case in cases]


def batch_indices(count: int, batch: int, step: int, seed: int) -> tuple[list[int], int]:
    """Return which examples update *step* sees, and its epoch; a function of its arguments alone."""
    per_epoch = max(1, count // batch)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[place * batch : (place + 1) * batch].tolist(), epoch


def jitter(images: Images, seeds: Sequence[Sequence[int]], *, shift: int = 8, gain: float = 0.15) -> Images:
    """Return images (N, H, W) moved by up to *shift* pixels and with exposure changed by up to *gain*.

    Each image has a seed of its own. The patient's sides stay where they are: a mirrored chest would be
    another truth.
    """
    return np.stack(
        [
            _jitter(image, np.random.default_rng(seed), shift, gain)
            for image, seed in zip(images, seeds, strict=True)
        ]
    )


def _jitter(image_HW: Images, rng: np.random.Generator, shift: int, gain: float) -> Images:
    height, width = image_HW.shape
    y, x = rng.integers(0, 2 * shift + 1, 2)
    moved = np.pad(image_HW, shift, mode="edge")[y : y + height, x : x + width]
    scale, offset = rng.uniform(1 - gain, 1 + gain), rng.uniform(-gain, gain) * 128
    exposed: Images = np.clip((moved - 128.0) * scale + 128.0 + offset, 0, 255).astype(np.uint8)
    return exposed
