"""Format of data sets on disk: Parquet shards, and a `dataset.json` that is written last.

A shard is written completely or not at all. `dataset.json` lists the shards with their digests.
Shards that it does not list come from an interrupted run, and the next run continues after them.
Each row group has one row, so that an image can be read without its neighbours.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from echo_node.durable_files import clear_leftovers, make_folder_durably, write_durably
from echo_node.errors import ConfigError, PermanentError
from training.datasets.example import Example

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise ConfigError("data sets need pyarrow: pip install 'echo-node[train]'") from error

SCHEMA_VERSION = 1
FACTS_FILE = "dataset.json"
_SHARD_FILES = f"data-{'[0-9]' * 5}.parquet"
SHARD_ROWS = 256
SHARD_BYTES = 128 * 1024 * 1024

_TEXT = pa.string()
_SCHEMA = pa.schema(
    [
        (each.name, {"bytes": pa.binary(), "tuple[str, ...]": pa.list_(_TEXT)}.get(str(each.type), _TEXT))
        for each in fields(Example)
    ]
)
_WITHOUT_IMAGE = [name for name in _SCHEMA.names if name != "image"]


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of rows, with the SHA-256 of its bytes."""

    file: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Content of dataset.json.

    Attributes:
        name: name of the data set, for people.
        source: reader or command that made it.
        shards: shards in the order of their rows.
        rejected: number of rejected rows of the source, by reason.
        notes: further text for the data card.
        schema_version: version of the columns.
    """

    name: str
    source: str
    shards: tuple[Shard, ...]
    rejected: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def rows(self) -> int:
        """Number of examples."""
        return sum(shard.rows for shard in self.shards)


class Writer:
    """Writer that adds rows to a folder, shard by shard, after those of earlier runs.

    Raises:
        PermanentError: the folder cannot be written to; rows of finished shards are safe.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: list[Example] = []
        self._pending_bytes = 0
        try:
            make_folder_durably(folder)
            clear_leftovers(folder)
            self._shards = [_existing_shard(path) for path in sorted(folder.glob(_SHARD_FILES))]
        except OSError as error:
            raise PermanentError(f"{folder} cannot be written to: {error.strerror}") from error

    @property
    def rows(self) -> int:
        """Number of rows that are safe on disk."""
        return sum(shard.rows for shard in self._shards)

    def existing(self) -> Iterator[Example]:
        """Yield the rows of earlier runs, without their images."""
        for shard in self._shards:
            yield from read_rows(self._folder / shard.file, _WITHOUT_IMAGE)

    def add(self, example: Example) -> None:
        """Add a row; it is safe on disk when its shard is full, or after `flush` or `finish`."""
        self._pending.append(example)
        self._pending_bytes += len(example.image)
        if len(self._pending) >= SHARD_ROWS or self._pending_bytes >= SHARD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the pending rows as a shard."""
        if not self._pending:
            return
        content = _encoded(self._pending)
        # Not the count of shards: if a shard was removed, a later one may have that number.
        number = 1 + max((int(shard.file[5:-8]) for shard in self._shards), default=-1)
        name = f"data-{number:05}.parquet"
        self._write(name, content)
        self._shards.append(Shard(name, len(self._pending), hashlib.sha256(content).hexdigest()))
        self._pending, self._pending_bytes = [], 0

    def finish(self, name: str, source: str, rejected: dict[str, int], notes: Iterable[str] = ()) -> Facts:
        """Write the pending rows and dataset.json, which completes the data set."""
        self.flush()
        facts = Facts(name, source, tuple(self._shards), rejected, tuple(notes))
        self._write(FACTS_FILE, (json.dumps(asdict(facts), indent=2) + "\n").encode())
        return facts

    def write_beside(self, name: str, content: bytes) -> None:
        """Write another file into the folder, completely or not at all."""
        self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        try:
            write_durably(self._folder / name, [content], temporary_folder=self._folder)
        except OSError as error:
            raise PermanentError(
                f"{self._folder / name} cannot be written: {error.strerror}; {self.rows} rows are safe "
                "in finished shards; free some space and run the same command again"
            ) from error


class Dataset:
    """A complete data set, read by row number.

    Raises:
        ConfigError: the folder is not a data set, or the data set is unfinished or has another
            schema version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts = load_facts(folder)
        self._files: dict[int, pq.ParquetFile] = {}
        self._ends = np.cumsum([shard.rows for shard in self.facts.shards])

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.facts.rows

    def image(self, index: int) -> bytes:
        """Return the PNG of a row.

        Raises:
            PermanentError: the shard of the row is missing or truncated.
        """
        place = int(np.searchsorted(self._ends, index, side="right"))
        shard = self.facts.shards[place]
        if place not in self._files:
            self._files[place] = open_shard(self.folder / shard.file)
        row = index - int(self._ends[place]) + shard.rows
        try:
            column = self._files[place].read_row_group(row, columns=["image"]).column("image")
        except (pa.ArrowException, OSError) as error:
            raise PermanentError(
                f"{self.folder / shard.file} is damaged; `echo-node dataset check` shows details"
            ) from error
        return bytes(column[0].as_py())

    @cached_property
    def rows(self) -> Sequence[Example]:
        """All rows without their images.

        Raises:
            PermanentError: a shard is missing or truncated.
        """
        return [
            row for shard in self.facts.shards for row in read_rows(self.folder / shard.file, _WITHOUT_IMAGE)
        ]


def load_facts(folder: Path) -> Facts:
    """Read dataset.json.

    Raises:
        ConfigError: the file is missing or damaged, or has another schema version.
    """
    path = folder / FACTS_FILE
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        shards = tuple(Shard(**each) for each in stored.pop("shards"))
        facts = Facts(shards=shards, **{**stored, "notes": tuple(stored["notes"])})
    except FileNotFoundError:
        left = (
            "the build was interrupted; run it again"
            if any(folder.glob("data-*"))
            else "it is not a data set"
        )
        raise ConfigError(f"{folder} has no {FACTS_FILE}: {left}") from None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged ({type(error).__name__}): build the data set again") from error
    if facts.schema_version != SCHEMA_VERSION:
        raise ConfigError(
            f"{path} has schema version {facts.schema_version}, but this program reads {SCHEMA_VERSION}"
        )
    return facts


def open_shard(path: Path) -> pq.ParquetFile:
    """Open one shard.

    Raises:
        PermanentError: the shard is missing or truncated.
    """
    try:
        return pq.ParquetFile(path, memory_map=True)
    except FileNotFoundError:
        raise PermanentError(f"the shard {path} is missing") from None
    except (pa.ArrowException, OSError) as error:
        raise PermanentError(
            f"the shard {path} is truncated or damaged: remove it and build the data set again"
        ) from error


def read_rows(path: Path, columns: Sequence[str] = tuple(_SCHEMA.names)) -> Iterator[Example]:
    """Yield the rows of one shard; columns that *columns* omits are empty.

    Raises:
        PermanentError: the shard is missing, truncated or damaged.
    """
    absent: dict[str, Any] = {name: b"" for name in _SCHEMA.names if name not in columns}
    file = open_shard(path)
    try:
        for batch in file.iter_batches(columns=list(columns)):
            for row in batch.to_pylist():
                stored = {name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}
                yield Example(**(absent | stored))
    except (pa.ArrowException, OSError) as error:
        raise PermanentError(
            f"the shard {path} is damaged: remove it and build the data set again"
        ) from error


def counted(reasons: Iterable[str]) -> dict[str, int]:
    """Return the number of occurrences of each reason, the most frequent first."""
    return dict(Counter(reasons).most_common())


def _encoded(examples: Sequence[Example]) -> bytes:
    """Return the bytes of a shard; all columns are compressed except for the PNGs."""
    table = pa.Table.from_pylist([asdict(example) for example in examples], schema=_SCHEMA)
    buffer = io.BytesIO()
    compression = dict.fromkeys(_WITHOUT_IMAGE, "zstd") | {"image": "none", "image_hash": "none"}
    pq.write_table(table, buffer, row_group_size=1, compression=compression, write_statistics=False)
    return buffer.getvalue()


def _existing_shard(path: Path) -> Shard:
    rows = open_shard(path).metadata.num_rows
    with path.open("rb") as file:
        return Shard(path.name, rows, hashlib.file_digest(file, "sha256").hexdigest())
