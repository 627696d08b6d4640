"""Examples for training and evaluation: images in the size for the model, and reports."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training import phantom
from training.phantom.dataset import PhantomDataset
from training.phantom.findings import FACTS, Findings
from training.phantom.language.grammar import write_report

Images = NDArray[np.uint8]


class Examples(Protocol):
    """Images with reports; each epoch may have another wording of a report."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def images(self, indices: Sequence[int]) -> Images:
        """Return images (N, H, W)."""
        ...

    def report(self, index: int, epoch: int) -> str:
        """Return the report that the model should write for an image."""
        ...

    def findings(self, index: int) -> list[int]:
        """Return the value of each kind of finding, as an index into the kind's values."""
        ...


class PhantomExamples:
    """Phantoms, rendered once (side * side bytes each), with new wordings in every epoch."""

    def __init__(
        self,
        dataset: PhantomDataset,
        advance: Callable[[int], None] | None = None,
        cache_folder: Path | None = None,
    ) -> None:
        """Render all phantoms of a set, or load the images that an earlier run has cached.

        Args:
            dataset: phantoms to render.
            advance: called with the number of phantoms that have just become available.
            cache_folder: folder for cached images; None keeps them in memory only.
        """
        self._seed = dataset.seed
        self._images = (
            _rendered(dataset, advance) if cache_folder is None else _cached(dataset, advance, cache_folder)
        )
        self.truths: list[Findings] = [dataset.truth(index)[0] for index in range(len(dataset))]

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
        """Return the value of each kind of finding, as an index into the kind's values."""
        stated = self.truths[index].as_dict()
        return [values.index(stated[fact]) for fact, values in FACTS.items()]


def _cached(dataset: PhantomDataset, advance: Callable[[int], None] | None, folder: Path) -> Images:
    """Return the images of a set from a file in the cache; render them if there is no such file.

    The file may have more images than the set.
    """
    count, name = len(dataset), f"phantoms-seed{dataset.seed}-{dataset.size}-{world_digest()}"
    file = next((file for file in folder.glob(f"{name}-*.npy") if _count_in(file) >= count), None)
    if file is None:
        file = folder / f"{name}-{count}.npy"
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{file.name}.{os.getpid()}"
        try:
            with part.open("wb") as stream:
                np.save(stream, _rendered(dataset, advance))
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    elif advance is not None:
        advance(count)
    images: Images = np.load(file, mmap_mode="r")
    return images[:count]


def _count_in(file: Path) -> int:
    return int(file.stem.rpartition("-")[2])


@cache
def world_digest() -> str:
    """Return a digest that identifies the version of the phantom world."""
    sources = sorted(Path(phantom.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def _rendered(dataset: PhantomDataset, advance: Callable[[int], None] | None) -> Images:
    """Render a set on all processor cores."""
    count = len(dataset)
    images = np.empty((count, dataset.size, dataset.size), dtype=np.uint8)
    chunks = [range(start, min(start + 64, count)) for start in range(0, count, 64)]
    with one_thread_each(), ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for chunk, part in zip(chunks, pool.map(partial(_render, dataset), chunks), strict=True):
            images[chunk.start : chunk.stop] = part
            if advance is not None:
                advance(len(chunk))
    return images


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Limit processes that start in the context to one thread each: every core has a process."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def _render(dataset: PhantomDataset, chunk: range) -> Images:
    return np.stack([dataset[index].image for index in chunk])


def batch_indices(count: int, batch: int, step: int, seed: int) -> tuple[list[int], int]:
    """Return the example indices of update *step* and its epoch, which the arguments determine."""
    per_epoch = max(1, count // batch)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[place * batch : (place + 1) * batch].tolist(), epoch


def jitter(images: Images, seeds: Sequence[Sequence[int]], *, shift: int = 8, gain: float = 0.15) -> Images:
    """Shift images (N, H, W) by up to *shift* pixels and change their exposure by up to *gain*.

    Each image has its own seed. Images are never mirrored, because that would change the truth.
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
