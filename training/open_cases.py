"""From `--data` to the studies that it names: phantoms, or a file of images and reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from echo_node.errors import ConfigError, PermanentError
from echo_node.inference.image import ImagePreparation, read_picture
from training.cases import Cases, PhantomCases, ReportCases

_FORMS = "phantom:N or FILE.jsonl"


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
        data: `phantom:N`, or a file with a JSON object in each line: `image`, a path from the file's folder,
            `report`, and in every line or in none `normalised`, the report in the wording of training.
        seed: which phantoms.
        preparation: the model's.

    Raises:
        ConfigError: *data* is of neither form, or a line is not such an object.
        PermanentError: an image cannot be read.
    """
    if data.startswith("phantom:"):
        return PhantomCases(parse_phantoms(data), seed, preparation.side)
    path = Path(data)
    if path.suffix != ".jsonl":
        raise ConfigError(f"--data '{data}' is not of the form {_FORMS}")
    if not path.is_file():
        raise ConfigError(f"--data {data}: there is no such file")
    return _read(path, preparation)


def _read(path: Path, preparation: ImagePreparation) -> ReportCases:
    rows = list(_rows(path))
    if not rows:
        raise ConfigError(f"--data {path}: the file holds no studies")
    pictures = []
    for line, row in enumerate(rows, 1):
        try:
            pictures.append(preparation.resized(read_picture(path.parent / row["image"])))
        except PermanentError as error:
            raise PermanentError(f"{path}, line {line}: {error}") from error
    normalised = [row["normalised"] for row in rows if "normalised" in row]
    if normalised and len(normalised) < len(rows):
        raise ConfigError(
            f"--data {path}: {len(normalised)} of {len(rows)} lines have 'normalised'; all or none must"
        )
    return ReportCases(path.name, pictures, [row["report"] for row in rows], normalised or None)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"--data {path}, line {line} is not JSON") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("image", "report")):
            raise ConfigError(f"--data {path}, line {line} needs the texts 'image' and 'report'")
        yield row
