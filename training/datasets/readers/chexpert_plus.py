"""Reader of CheXpert Plus in the layout of Stanford AIMI.

`df_chexpert_plus_<date>.csv` has one row per image: path_to_image
(`train/patient1/study1/view1_frontal.jpg`), path_to_dcm, frontal_lateral, ap_pa, deid_patient_id,
split (train, valid), section_findings, section_impression. Images are in `PNG/` as `.png`, or in
the folder itself. Source: the README of Stanford-AIMI/chexpert-plus, and public code that reads the
table. Not tested on the real files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from echo_node.errors import PermanentError
from training.datasets.example import Candidate, Found, RejectedRow
from training.datasets.readers.tables import Row, existing_file, read_table

_TABLE = "df_chexpert_plus_*.csv"
_FOLDERS = ("PNG", "PNG/PNG", "images", "DICOM", ".")
_REQUIRED = ("path_to_image", "deid_patient_id", "section_findings", "section_impression")


def read(source: Path) -> Iterator[Found]:
    """Yield the frontal images of the data set in a folder.

    Raises:
        PermanentError: the table is missing or broken.
    """
    tables = sorted(source.glob(_TABLE))
    if not tables:
        raise PermanentError(f"{source} has no {_TABLE}")
    for number, row in read_table(tables[-1], required=_REQUIRED):
        key = f"row {number}"
        yield RejectedRow(key, row) if isinstance(row, str) else _candidate(source, key, row)


def _candidate(source: Path, key: str, row: Row) -> Found:
    named = PurePosixPath(row["path_to_image"])
    side = row.get("frontal_lateral", "")
    if side.casefold() == "lateral" or "lateral" in named.name:
        return RejectedRow(key, "not a frontal view")
    places = [
        source / folder / path
        for folder in _FOLDERS
        for path in (
            named.with_suffix(".png"),
            named,
            named.with_suffix(".dcm"),
            PurePosixPath(row.get("path_to_dcm") or named),
        )
    ]
    try:
        image = existing_file(*places)
    except PermanentError as error:
        return RejectedRow(key, str(error))
    return Candidate(
        key,
        image,
        row["deid_patient_id"],
        str(named.parent),
        row["section_findings"],
        row["section_impression"],
        row.get("ap_pa") or side,
        row.get("split", ""),
    )


def recognises(source: Path) -> bool:
    """Return whether *source* is a folder of CheXpert Plus."""
    return source.is_dir() and any(source.glob(_TABLE))
