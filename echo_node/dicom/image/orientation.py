"""Orientation of a frontal image, and its rotation or flip to the radiologist's view.

Patient Orientation (PS3.3 C.7.6.1.1.1) states the directions of rows and columns. On display, the
patient's left is on the image's right and the feet are down: rows run to L, columns to F. A
mirrored image would cause a wrong-side draft. Therefore an image is changed only if its header is
clear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from echo_node.dicom.header_values import is_stated, number, text, values


@dataclass(frozen=True, slots=True)
class PatientOrientation:
    """Main directions of rows and columns, each one of L, R, H, F, A, P."""

    rows: str
    columns: str

    @property
    def is_frontal(self) -> bool:
        """Whether the image plane is coronal."""
        return {self.rows, self.columns} in ({"L", "H"}, {"L", "F"}, {"R", "H"}, {"R", "F"})

    def as_displayed(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return frontal *pixels* with rows to the patient's left and columns to the feet."""
        rows, columns = self.rows, self.columns
        if rows in "HF":
            pixels, rows, columns = pixels.T, columns, rows
        if rows == "R":
            pixels = pixels[:, ::-1]
        if columns == "H":
            pixels = pixels[::-1, :]
        return pixels


def patient_orientation(header: Dataset) -> PatientOrientation | None:
    """Return the orientation that the header states; None without a valid one."""
    directions = [each[:1].upper() for each in values(header, "PatientOrientation")]
    if len(directions) != 2 or not all(each and each in "LRHFAP" for each in directions):
        return None
    rows, columns = directions
    axes = {"L": 0, "R": 0, "H": 1, "F": 1, "A": 2, "P": 2}
    return PatientOrientation(rows, columns) if axes[rows] != axes[columns] else None


def is_turned(header: Dataset) -> bool:
    """Return whether the image was flipped or rotated after acquisition (PS3.3 C.8.11.4)."""
    turned_by = number(header, "FieldOfViewRotation")
    is_rotated = int(turned_by) != 0 if turned_by is not None else is_stated(header, "FieldOfViewRotation")
    return is_rotated or text(header, "FieldOfViewHorizontalFlip").upper() == "YES"
