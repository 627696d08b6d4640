"""Examples to train on, from a data set on disk."""

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
    """Rows of one split, by index; each image is read when it is requested.

    Implements the Examples protocol. The order is that of the shards and the same in every run, so
    that interrupted training continues with the next example.
    """

    def __init__(self, folder: Path, split: str, preparation: ImagePreparation, count: int = 0) -> None:
        """Open a data set.

        Args:
            folder: folder of the data set.
            split: split whose rows to use.
            preparation: preparation of the model, which resizes images to the model's input size.
            count: number of rows to use, from the first; 0 uses all.

        Raises:
            ConfigError: the folder is not a complete data set, or its split has no row with a
                report, or the preparation leaves images of different sizes, which do not fit into
                one batch.
        """
        if preparation.resize != "square":
            raise ConfigError(
                "the model's preparation keeps the aspect ratio of each image (resize = smart), but all "
                "images of a batch need the same size: set resize to square"
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
            PermanentError: a shard or an image is damaged.
        """
        images = (decode_png(self._dataset.image(self._rows[index][0])) for index in indices)
        return np.stack([self._preparation.resized(image) for image in images])

    def report(self, index: int, epoch: int) -> str:
        """Return the report of an image in the form that the model must write it."""
        return self._rows[index][1]

    def findings(self, index: int) -> list[int]:
        """Return nothing: the findings of a patient's radiograph are known only from its report."""
        return []
