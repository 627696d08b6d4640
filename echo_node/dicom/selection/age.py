"""Age of a patient when an image was taken, as the header states it or from its dates."""

from __future__ import annotations

from pydicom.dataset import Dataset

from echo_node.dicom.header_values import DAYS_IN, age, day
from echo_node.dicom.lookups import TAKEN_ON


def age_in_years(header: Dataset) -> float | None:
    """Return the patient's age by PatientAge, or else by the birth date; None if unknown."""
    if stated := age(header):
        count, unit = stated
        return count * DAYS_IN[unit] / DAYS_IN["Y"]
    born = day(header, "PatientBirthDate")
    taken = next((found for each in TAKEN_ON if (found := day(header, each))), None)
    if born is None or taken is None or taken < born:
        return None
    return float(taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day)))
