"""Reader of data sets in this project's format, for example to resize the images of an export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.datasets.example import Candidate, Found
from training.datasets.shards import FACTS_FILE, Dataset


def read(source: Path) -> Iterator[Found]:
    """Yield the rows of a data set.

    Raises:
        ConfigError: the folder is not a data set, or the data set is unfinished.
        PermanentError: a shard is missing or truncated.
    """
    dataset = Dataset(source)
    for index, row in enumerate(dataset.rows):
        yield Candidate(
            row.example_id,
            source,
            row.patient_id,
            row.study_id,
            row.findings,
            row.impression,
            row.view,
            row.split,
            header=row.header,
            png=dataset.image(index),
        )


def recognises(source: Path) -> bool:
    """Return whether *source* is a data set."""
    return (source / FACTS_FILE).is_file()
