"""A data set on disk as examples to train on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from echo_node.errors import ConfigError
from echo_node.inference.image import ImagePreparation
from training.datasets.images import decode_png
from training.datasets.shards import Dataset
from training.examples.examples import Images


class FolderExamples:
    """The rows of one split, by number; images are read when they are asked for.

    Implements training.examples.examples.Examples. The order is that of the shards, the same in every run, so
    that an interrupted training continues with the example that it would have seen next.
    """

    def __init__(self, folder: Path, split: str, preparation: ImagePreparation, count: int = 0) -> None:
        """Open a data set.

        Args:
            folder: of the data set.
            split: which rows.
            preparation: brings images to the size that the model gets.
            count: the first so many rows; 0 takes all.

        Raises:
            ConfigError: the folder is no whole data set or has no such rows with reports, or the preparation
                leaves images of different sizes, which do not fit into one batch.
        """
        if preparation.resize != "square":
            raise ConfigError(
                "this preparation keeps the shape of each image (resize = smart), and a batch needs images "
                "of one size: resize must be square"
            )
        self._dataset = Dataset(folder)
        self._preparation = preparation
        rows = [
            (index, row.report)
            for index, row in enumerate(self._dataset.rows)
            if row.split == split and row.report
        ]
        if not rows:
            raise ConfigError(f"{folder} has no row of split '{split}' with a report")
        self._rows = rows[:count] if count else rows

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    def images(self, indices: Sequence[int]) -> Images:
        """Return images (N, H, W).

        Raises:
            PermanentError: a shard or a picture is damaged.
        """
        pictures = (decode_png(self._dataset.image(self._rows[index][0])) for index in indices)
        return np.stack([self._preparation.resized(picture) for picture in pictures])

    def report(self, index: int, epoch: int) -> str:
        """Return the report of an image as the model shall write it."""
        return self._rows[index][1]

    def findings(self, index: int) -> list[int]:
        """Return nothing: what a radiograph of a patient shows is known from its report alone."""
        return []
