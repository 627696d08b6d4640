"""Evaluation cases from `--data`: phantoms, a data set, or a file of images and reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from echo_node.errors import ConfigError, PermanentError
from echo_node.inference.image import ImagePreparation, read_image_file
from training.evaluation.cases import Cases, PhantomCases, ReportCases

_FORMS = "phantom:N, a data set's FOLDER, or FILE.jsonl"
_HELD_OUT = "test"


def parse_phantoms(data: str) -> int:
    """Return the number of cases in `phantom:N`.

    Raises:
        ConfigError: *data* does not have that form.
    """
    source, _, count = data.partition(":")
    if source != "phantom" or not count.isdigit() or int(count) < 1:
        raise ConfigError(f"--data '{data}' does not have the form phantom:N")
    return int(count)


def open_cases(data: str, seed: int, preparation: ImagePreparation) -> Cases:
    """Return the cases that *data* names, with images prepared for the model.

    Args:
        data: `phantom:N`, the folder of a data set, or a file. Of a data set, the split `test` is
            used. A file has one JSON object per line: `image` (a path relative to the file),
            `report`, and, in every line or in none, `normalised` (the report in the wording of
            training).
        seed: random seed of the phantoms.
        preparation: image preparation of the model.

    Raises:
        ConfigError: *data* has none of these forms, a line is not such an object, or the folder is
            not a complete data set or has no such split.
        PermanentError: an image cannot be read.
    """
    if data.startswith("phantom:"):
        return PhantomCases(parse_phantoms(data), seed, preparation.side)
    path = Path(data)
    if path.is_dir():
        return _data_set_cases(path, preparation)
    if path.suffix != ".jsonl":
        raise ConfigError(f"--data '{data}' does not have the form {_FORMS}")
    if not path.is_file():
        raise ConfigError(f"--data {data}: there is no such file")
    return _file_cases(path, preparation)


def _data_set_cases(folder: Path, preparation: ImagePreparation) -> ReportCases:
    from training.datasets.images import decode_png
    from training.datasets.shards import Dataset

    dataset = Dataset(folder)
    held_out = [
        (index, row) for index, row in enumerate(dataset.rows) if row.split == _HELD_OUT and row.report
    ]
    if not held_out:
        raise ConfigError(f"--data {folder}: there is no row of split '{_HELD_OUT}' with a report")
    images = [preparation.resized(decode_png(dataset.image(index))) for index, _ in held_out]
    return ReportCases(folder.name, images, [row.report for _, row in held_out])


def _file_cases(path: Path, preparation: ImagePreparation) -> ReportCases:
    rows = list(_rows(path))
    if not rows:
        raise ConfigError(f"--data {path}: the file contains no studies")
    images = []
    for line, row in enumerate(rows, 1):
        try:
            images.append(preparation.resized(read_image_file(path.parent / row["image"])))
        except PermanentError as error:
            raise PermanentError(f"{path}, line {line}: {error}") from error
    normalised = [row["normalised"] for row in rows if "normalised" in row]
    if normalised and len(normalised) < len(rows):
        raise ConfigError(
            f"--data {path}: {len(normalised)} of {len(rows)} lines have 'normalised'; all or none need it"
        )
    return ReportCases(path.name, images, [row["report"] for row in rows], normalised or None)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"--data {path}, line {line} is not JSON") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("image", "report")):
            raise ConfigError(f"--data {path}, line {line} needs 'image' and 'report', both as text")
        yield row
