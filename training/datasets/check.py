"""Integrity check of a data set: every shard is read and compared with its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from echo_node.errors import PermanentError
from training.datasets.images import decode_png
from training.datasets.shards import Dataset, read_rows


def check(folder: Path, advance: Callable[[int], None] | None = None) -> list[str]:
    """Return the problems of a data set, one line each; empty if it is complete and intact.

    Args:
        folder: folder of the data set.
        advance: called with 1 for each shard.

    Raises:
        ConfigError: the folder is not a data set, or the data set is unfinished.
    """
    dataset = Dataset(folder)
    problems = []
    listed = {shard.file for shard in dataset.facts.shards}
    for shard in dataset.facts.shards:
        try:
            with (folder / shard.file).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            rows = list(read_rows(folder / shard.file))
            for row in rows:
                decode_png(row.image)
        except FileNotFoundError:
            problems.append(f"{shard.file} is missing")
        except OSError as error:
            problems.append(f"{shard.file} cannot be read: {error.strerror}")
        except PermanentError as error:
            problems.append(f"{shard.file}: {error}")
        else:
            if digest != shard.sha256:
                problems.append(f"{shard.file} has changed since it was written: its digest differs")
            elif len(rows) != shard.rows:
                problems.append(f"{shard.file} has {len(rows)} rows, but {shard.rows} are listed")
        if advance is not None:
            advance(1)
    unlisted = sorted({path.name for path in folder.glob("data-*")} - listed)
    problems += [f"{name} is not listed: a later run was interrupted; run it again" for name in unlisted]
    return problems
