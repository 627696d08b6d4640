"""Reader of MIMIC-CXR and MIMIC-CXR-JPG in the layout of PhysioNet.

`mimic-cxr-2.0.0-metadata.csv[.gz]` (dicom_id, subject_id, study_id, ViewPosition) lists the images.
The images are `files/p10/p10000032/s50414267/<dicom_id>.dcm` or `.jpg`.
`mimic-cxr-2.0.0-split.csv[.gz]` is the official split. Reports are
`files/p10/p10000032/s50414267.txt`, or rows of `mimic_cxr_sectioned.csv[.gz]` (study, findings,
impression), which MIMIC's create_section_files.py writes. Source: the PhysioNet pages of both data
sets, and public code that reads them. Not tested on the real files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from echo_node.errors import PermanentError
from echo_node.report_text.report_sections import ReportSections, parse_report
from training.datasets.example import Candidate, Found, RejectedRow
from training.datasets.readers.tables import Row, existing_file, find_file, read_table

Value = TypeVar("Value")

_METADATA = ("mimic-cxr-2.0.0-metadata.csv.gz", "mimic-cxr-2.0.0-metadata.csv")
_SPLIT = ("mimic-cxr-2.0.0-split.csv.gz", "mimic-cxr-2.0.0-split.csv")
_SECTIONED = ("mimic_cxr_sectioned.csv.gz", "mimic_cxr_sectioned.csv")


def read(source: Path) -> Iterator[Found]:
    """Yield the frontal images of the data set in a folder.

    Raises:
        PermanentError: the metadata table is missing or damaged.
    """
    metadata = find_file(source, *_METADATA)
    splits = _column(source, _SPLIT, ("dicom_id", "split"), lambda row: (row["dicom_id"], row["split"]))
    sectioned = _column(
        source,
        _SECTIONED,
        ("study", "findings", "impression"),
        lambda row: (row["study"], ReportSections(row["findings"], row["impression"])),
    )
    for number, row in read_table(metadata, required=("dicom_id", "subject_id", "study_id", "ViewPosition")):
        if isinstance(row, str):
            yield RejectedRow(f"row {number}", row)
        else:
            yield _candidate(source, row, splits.get(row["dicom_id"], ""), sectioned)


def _candidate(source: Path, row: Row, split: str, sectioned: dict[str, ReportSections]) -> Found:
    key, view = row["dicom_id"], row["ViewPosition"]
    if view not in {"PA", "AP"}:
        return RejectedRow(key, "not a frontal view" if view else "the metadata does not state the view")
    patient, study = f"p{row['subject_id']}", f"s{row['study_id']}"
    folder = source / "files" / patient[:3] / patient
    sections = sectioned.get(study)
    try:
        image = existing_file(folder / study / f"{key}.dcm", folder / study / f"{key}.jpg")
        if sections is None:
            report = folder / f"{study}.txt"
            sections = parse_report(report.read_text(encoding="utf-8", errors="replace"))
    except PermanentError as error:
        return RejectedRow(key, str(error))
    except OSError:
        return RejectedRow(key, "the report is missing")
    return Candidate(key, image, patient, study, sections.findings, sections.impression, view, split)


def _column(
    source: Path, names: tuple[str, ...], required: tuple[str, ...], pair: Callable[[Row], tuple[str, Value]]
) -> dict[str, Value]:
    """Return two columns of a table as a dictionary; empty if there is no such table."""
    present = [source / name for name in names if (source / name).is_file()]
    if not present:
        return {}
    return dict(pair(row) for _, row in read_table(present[0], required) if not isinstance(row, str))


def recognises(source: Path) -> bool:
    """Return whether *source* is a folder of MIMIC-CXR."""
    return any((source / name).is_file() for name in _METADATA)
