"""A data set in this project's own format, such as an export of a node: to merge or to make smaller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.datasets.example import Candidate, Found
from training.datasets.shards import FACTS_FILE, Dataset


def read(source: Path) -> Iterator[Found]:
    """Yield the rows of a data set.

    Raises:
        ConfigError: the folder is no data set, or is unfinished.
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
    """Say whether *source* is a data set."""
    return (source / FACTS_FILE).is_file()
