"""Age of a patient when an image was taken, as the header states it or from its dates."""

from __future__ import annotations

import re
from datetime import date

from pydicom.dataset import Dataset

from echo_node.dicom.header import text

_AGE = re.compile(r"(\d{1,3})([DWMY])")
_DAYS_IN = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
_TAKEN_ON = ("AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")


def age_in_years(header: Dataset) -> float | None:
    """Return the patient's age by PatientAge, or else by the birth date; None if unknown."""
    stated = _AGE.fullmatch(text(header, "PatientAge").upper())
    if stated:
        return int(stated[1]) * _DAYS_IN[stated[2]] / _DAYS_IN["Y"]
    born = _date(text(header, "PatientBirthDate"))
    taken = next((day for day in (_date(text(header, each)) for each in _TAKEN_ON) if day), None)
    if born is None or taken is None or taken < born:
        return None
    return float(taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day)))


def _date(value: str) -> date | None:
    digits = re.sub(r"[^0-9]", "", value)
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 else None
    except ValueError:
        return None
