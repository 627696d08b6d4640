"""Reader of a user's table, CSV or JSON Lines, with one row per image.

Required columns: `image` (a path, relative to the folder of the table), and either `report` (with
headings) or `findings` and `impression`. Optional columns: `patient`, `study`, `view` (PA, AP,
frontal) and `split` (train, validation, test). A row without a patient counts as a separate
patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from echo_node.report_text.report_sections import ReportSections, parse_report
from training.datasets.example import Candidate, Found, RejectedRow
from training.datasets.readers.tables import Row, read_table

SUFFIXES = (".csv", ".csv.gz", ".jsonl")


def read(source: Path) -> Iterator[Found]:
    """Yield the rows of a table.

    Raises:
        PermanentError: the table cannot be read, or has no column `image`.
    """
    for number, row in read_table(source, required=("image",)):
        key = f"row {number}"
        if isinstance(row, str):
            yield RejectedRow(key, row)
        else:
            yield _candidate(key, row, source.parent)


def _candidate(key: str, row: Row, folder: Path) -> Found:
    if not row.get("image"):
        return RejectedRow(key, "the row names no image")
    sections = ReportSections(row.get("findings", ""), row.get("impression", ""))
    if not sections.findings and not sections.impression and row.get("report"):
        sections = parse_report(row["report"])
        if not sections.findings and not sections.impression:
            return RejectedRow(key, "the report has no heading of findings or impression")
    patient = row.get("patient") or key
    return Candidate(
        key,
        folder / row["image"],
        patient,
        row.get("study") or f"{patient} {key}",
        sections.findings,
        sections.impression,
        row.get("view", ""),
        row.get("split", ""),
    )


def recognises(source: Path) -> bool:
    """Return whether *source* is a table."""
    return source.is_file() and source.name.endswith(SUFFIXES)
