"""Reader of ReXGradient-160K: a JSON object of studies for each split, and PNG images.

`metadata/{train,valid,test}_metadata_view_position.json` maps study identifiers to `Findings`,
`Impression`, and the lists `ImagePath` (`../deid_png/<patient>/<accession>/studies/...png`) and
`ImageViewPosition`. The patient is the first folder in `deid_png`. Source: public code that reads
the files. Not tested on the real files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from echo_node.errors import PermanentError
from training.datasets.example import Candidate, Found, RejectedRow
from training.datasets.readers.tables import existing_file

_FILES = "*_metadata_view_position.json"
_VIEWS = {"PA": "PA", "AP": "AP", "POSTERO_ANTERIOR": "PA", "ANTERO_POSTERIOR": "AP"}
_IMAGES = "deid_png"


def read(source: Path) -> Iterator[Found]:
    """Yield the frontal images of every split in a folder.

    Raises:
        PermanentError: the metadata is missing or damaged.
    """
    files = _metadata(source)
    if not files:
        raise PermanentError(f"{source} has no metadata/{_FILES}")
    for path in files:
        try:
            studies = json.loads(path.read_text(encoding="utf-8")).items()
        except (OSError, ValueError, AttributeError) as error:
            raise PermanentError(
                f"{path} cannot be read ({type(error).__name__}): is it complete?"
            ) from error
        for study, row in studies:
            yield from _images(source, path.name.partition("_")[0], study, row)


def _images(source: Path, split: str, study: str, row: Any) -> Iterator[Found]:
    try:
        images = list(zip(row["ImagePath"], row["ImageViewPosition"], strict=True))
        texts = [str(row.get(section) or "") for section in ("Findings", "Impression")]
    except (KeyError, TypeError, ValueError):
        yield RejectedRow(study, "the study lacks ImagePath or ImageViewPosition, or they differ in length")
        return
    for number, (named, view) in enumerate(images):
        key = f"{study} image {number}"
        if str(view) not in _VIEWS:
            yield RejectedRow(key, "not a frontal view")
            continue
        parts = PurePosixPath(str(named)).parts
        below = parts[parts.index(_IMAGES) + 1 :] if _IMAGES in parts else parts
        try:
            image = existing_file(source / _IMAGES / Path(*below), source / Path(*below))
        except PermanentError as error:
            yield RejectedRow(key, str(error))
            continue
        yield Candidate(key, image, below[0], study, texts[0], texts[1], _VIEWS[str(view)], split)


def _metadata(source: Path) -> list[Path]:
    return sorted((source / "metadata").glob(_FILES)) or sorted(source.glob(_FILES))


def recognises(source: Path) -> bool:
    """Return whether *source* is a folder of ReXGradient."""
    return source.is_dir() and bool(_metadata(source))
