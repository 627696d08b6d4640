"""Reading of tables row by row: CSV, plain or gzipped, and JSON Lines."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TypeAlias

from echo_node.errors import PermanentError

Row: TypeAlias = dict[str, str]

csv.field_size_limit(sys.maxsize)  # a report may be longer than the module's 128 KiB


def read_table(path: Path, required: Sequence[str] = ()) -> Iterator[tuple[int, Row | str]]:
    """Yield the number of each row, from 1, with the row, or with the reason why it is malformed.

    Raises:
        PermanentError: the file cannot be read, or lacks a required column.
    """
    try:
        with _opened(path) as stream:
            yield from (_json_lines if path.name.endswith(".jsonl") else _csv)(path, stream, required)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise PermanentError(
            f"the table {path} cannot be read ({type(error).__name__}): is it complete?"
        ) from error


def find_file(folder: Path, *names: str) -> Path:
    """Return the first of several files that exists in a folder.

    Raises:
        PermanentError: none of them exists.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise PermanentError(f"{folder} has no file {' or '.join(names)}")


def existing_file(*places: Path) -> Path:
    """Return the first of several paths that is a file.

    Raises:
        PermanentError: none is a file. The message contains no path, because a path can name a
            patient.
    """
    for place in places:
        if place.is_file():
            return place
    raise PermanentError("the image file is missing")


def _opened(path: Path) -> IO[str]:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _csv(path: Path, stream: IO[str], required: Sequence[str]) -> Iterator[tuple[int, Row | str]]:
    table = csv.DictReader(stream)
    missing = [column for column in required if column not in (table.fieldnames or ())]
    if missing:
        raise PermanentError(f"the table {path} has no column {', '.join(missing)}")
    for number, row in enumerate(table, 1):
        if None in row:
            yield number, "the row has more cells than there are columns"
        else:
            yield number, {name: (value or "").strip() for name, value in row.items()}


def _json_lines(path: Path, stream: IO[str], required: Sequence[str]) -> Iterator[tuple[int, Row | str]]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            yield number, "the line is not JSON"
            continue
        if not isinstance(row, dict):
            yield number, "the line is not a JSON object"
        elif missing := [column for column in required if column not in row]:
            yield number, f"the row has no {', '.join(missing)}"
        else:
            yield number, {name: "" if value is None else str(value).strip() for name, value in row.items()}
