"""From `--data` to the studies that it names: phantoms, a data set on disk, a file of images and reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from echo_node.errors import ConfigError, PermanentError
from echo_node.inference.image import ImagePreparation, read_picture
from training.evaluation.cases import Cases, PhantomCases, ReportCases

_FORMS = "phantom:N, a data set's FOLDER, or FILE.jsonl"
_HELD_OUT = "test"


def parse_phantoms(data: str) -> int:
    """Return the number of cases in `phantom:N`.

    Raises:
        ConfigError: it is not of that form.
    """
    source, _, count = data.partition(":")
    if source != "phantom" or not count.isdigit() or int(count) < 1:
        raise ConfigError(f"--data '{data}' is not of the form phantom:N")
    return int(count)


def open_cases(data: str, seed: int, preparation: ImagePreparation) -> Cases:
    """Return the studies that *data* names, their images as *preparation* wants them.

    Args:
        data: `phantom:N`; the folder of a data set, of which the split `test` is taken; or a file with a JSON
            object in each line: `image`, a path from the file's folder, `report`, and in every line or in
            none `normalised`, the report in the wording of training.
        seed: which phantoms.
        preparation: the model's.

    Raises:
        ConfigError: *data* is of none of these forms, a line is not such an object, or the folder is no whole
            data set or has no such split.
        PermanentError: an image cannot be read.
    """
    if data.startswith("phantom:"):
        return PhantomCases(parse_phantoms(data), seed, preparation.side)
    path = Path(data)
    if path.is_dir():
        return _of_data_set(path, preparation)
    if path.suffix != ".jsonl":
        raise ConfigError(f"--data '{data}' is not of the form {_FORMS}")
    if not path.is_file():
        raise ConfigError(f"--data {data}: there is no such file")
    return _read(path, preparation)


def _of_data_set(folder: Path, preparation: ImagePreparation) -> ReportCases:
    from training.datasets.images import decode_png
    from training.datasets.shards import Dataset

    found = Dataset(folder)
    held_out = [(index, row) for index, row in enumerate(found.rows) if row.split == _HELD_OUT and row.report]
    if not held_out:
        raise ConfigError(f"--data {folder}: no row of split '{_HELD_OUT}' with a report")
    images = [preparation.resized(decode_png(found.image(index))) for index, _ in held_out]
    return ReportCases(folder.name, images, [row.report for _, row in held_out])


def _read(path: Path, preparation: ImagePreparation) -> ReportCases:
    rows = list(_rows(path))
    if not rows:
        raise ConfigError(f"--data {path}: the file holds no studies")
    images = []
    for line, row in enumerate(rows, 1):
        try:
            images.append(preparation.resized(read_picture(path.parent / row["image"])))
        except PermanentError as error:
            raise PermanentError(f"{path}, line {line}: {error}") from error
    normalised = [row["normalised"] for row in rows if "normalised" in row]
    if normalised and len(normalised) < len(rows):
        raise ConfigError(
            f"--data {path}: {len(normalised)} of {len(rows)} lines have 'normalised'; all or none must"
        )
    return ReportCases(path.name, images, [row["report"] for row in rows], normalised or None)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"--data {path}, line {line} is not JSON") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("image", "report")):
            raise ConfigError(f"--data {path}, line {line} needs the texts 'image' and 'report'")
        yield row
