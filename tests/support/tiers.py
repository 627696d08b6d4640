"""Tiers of the tests, as they were collected: `make test` leaves out those marked `long`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

Files = Mapping[Path, Sequence[tuple[str, bool]]]
"""Tests of each file: name, and whether `make test` runs it."""

COLLECTED = pytest.StashKey[Files]()


def files_of(items: Iterable[pytest.Item]) -> Files:
    """Return the tests of each file, before any is deselected."""
    files: dict[Path, list[tuple[str, bool]]] = {}
    for item in items:
        files.setdefault(item.path, []).append((item.name, item.get_closest_marker("long") is None))
    return files
