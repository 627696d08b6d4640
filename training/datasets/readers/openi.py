"""Reader of OpenI (Indiana University chest X-rays): XML reports with PNG images, or R2Gen's JSON.

XML: `ecgen-radiology/*.xml` with `AbstractText Label="FINDINGS"` and `"IMPRESSION"`. The attribute
`id` of `parentImage` names `<id>.png`. The reports state no views. If there is a table
`indiana_projections.csv` (uid, filename, projection), it decides which image is frontal. Otherwise
the reader uses the first image of a report, by convention the frontal one, with the view `unknown`.

R2Gen: `annotation.json` with lists of `id`, `report` (findings only) and `image_path` by split. The
first image is the frontal one.

Neither format names patients, so each report counts as a patient. Source: public code that reads
the files. Not tested on the real files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from echo_node.errors import PermanentError
from training.datasets.example import Candidate, Found, RejectedRow
from training.datasets.readers.tables import existing_file, read_table

_ANNOTATION = "annotation.json"
_PROJECTIONS = "indiana_projections.csv"
_REPORT_FOLDERS = ("ecgen-radiology", "reports", ".")
_IMAGE_FOLDERS = ("NLMCXR_png", "images", "images/images_normalized", "images_normalized", ".")


def read(source: Path) -> Iterator[Found]:
    """Yield one image for each report of a folder.

    Raises:
        PermanentError: the folder has neither XML reports nor an annotation.json.
    """
    if (source / _ANNOTATION).is_file():
        yield from _annotated(source)
        return
    reports = _reports(source)
    if not reports:
        raise PermanentError(f"{source} has neither XML reports in ecgen-radiology nor {_ANNOTATION}")
    frontal = _frontal_files(source)
    for path in reports:
        yield _from_xml(source, path, frontal)


def _reports(source: Path) -> list[Path]:
    return next((found for each in _REPORT_FOLDERS if (found := sorted((source / each).glob("*.xml")))), [])


def _frontal_files(source: Path) -> set[str]:
    """Return the stems of the frontal files in the projections table; empty without a table."""
    table = source / _PROJECTIONS
    if not table.is_file():
        return set()
    rows = read_table(table, required=("filename", "projection"))
    return {
        row["filename"].split(".")[0]
        for _, row in rows
        if not isinstance(row, str) and row["projection"].casefold() == "frontal"
    }


def _from_xml(source: Path, path: Path, frontal: set[str]) -> Found:
    key = path.stem
    try:
        # The standard parser is safe: expat limits entity expansion and loads no external entities.
        root = ET.parse(path).getroot()  # noqa: S314
    except (ET.ParseError, OSError) as error:
        return RejectedRow(key, f"the report is not readable XML ({type(error).__name__})")
    sections = {
        str(each.get("Label")): "".join(each.itertext()).strip() for each in root.iter("AbstractText")
    }
    images = [str(each.get("id")) for each in root.iter("parentImage")]
    if not images:
        return RejectedRow(key, "the report names no image")
    # The table omits the prefix CXR of the identifiers.
    known = [image for image in images if image.removeprefix("CXR") in frontal or image in frontal]
    if frontal and not known:
        return RejectedRow(key, "no image of the report is frontal")
    chosen = known[0] if known else images[0]
    try:
        image = existing_file(*_image_paths(source, chosen))
    except PermanentError as error:
        return RejectedRow(key, str(error))
    return Candidate(
        key,
        image,
        key,
        key,
        sections.get("FINDINGS", ""),
        sections.get("IMPRESSION", ""),
        "frontal" if known else "",
    )


def _image_paths(source: Path, name: str) -> Iterator[Path]:
    for folder in _IMAGE_FOLDERS:
        yield source / folder / f"{name}.png"
        yield source / folder / f"{name.removeprefix('CXR')}.dcm.png"


def _annotated(source: Path) -> Iterator[Found]:
    path = source / _ANNOTATION
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))
        rows = [(split, row) for split, rows in splits.items() for row in rows]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise PermanentError(f"{path} cannot be read ({type(error).__name__}): is it complete?") from error
    for number, (split, row) in enumerate(rows, 1):
        try:
            key, images, report = str(row["id"]), list(row["image_path"]), str(row["report"])
            image = existing_file(source / "images" / images[0], source / images[0])
        except (KeyError, IndexError, TypeError):
            yield RejectedRow(f"row {number}", "the row lacks id, report or image_path")
        except PermanentError as error:
            yield RejectedRow(key, str(error))
        else:
            yield Candidate(key, image, key, key, report, "", "", split)


def recognises(source: Path) -> bool:
    """Return whether *source* is a folder of OpenI."""
    return source.is_dir() and ((source / _ANNOTATION).is_file() or bool(_reports(source)))
