"""Which way a frontal image lies, and how it is laid as a radiologist looks at it.

Patient Orientation (PS3.3 C.7.6.1.1.1) names the direction of the rows and of the columns. On display the
patient's left is on the image's right and the feet are down: rows run to L, columns to F. A mirrored
image would make a wrong-side draft, so nothing is turned that the header does not clearly state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from echo_node.dicom.header import text, values


@dataclass(frozen=True, slots=True)
class PatientOrientation:
    """The main directions of rows and columns: each one of L, R, H, F, A, P."""

    rows: str
    columns: str

    @property
    def is_frontal(self) -> bool:
        """Say whether the image plane is the coronal one."""
        return {self.rows, self.columns} in ({"L", "H"}, {"L", "F"}, {"R", "H"}, {"R", "F"})

    def as_displayed(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return frontal *pixels* turned so that rows run to the patient's left and columns to the feet."""
        rows, columns = self.rows, self.columns
        if rows in "HF":
            pixels, rows, columns = pixels.T, columns, rows
        if rows == "R":
            pixels = pixels[:, ::-1]
        if columns == "H":
            pixels = pixels[::-1, :]
        return pixels


def patient_orientation(header: Dataset) -> PatientOrientation | None:
    """Return what the header states; None if it states nothing that makes sense."""
    directions = [each[:1].upper() for each in values(header, "PatientOrientation")]
    if len(directions) != 2 or not all(each and each in "LRHFAP" for each in directions):
        return None
    rows, columns = directions
    axes = {"L": 0, "R": 0, "H": 1, "F": 1, "A": 2, "P": 2}
    return PatientOrientation(rows, columns) if axes[rows] != axes[columns] else None


def is_turned(header: Dataset) -> bool:
    """Say whether the image was mirrored or turned after the detector had taken it (PS3.3 C.8.11.4)."""
    return text(header, "FieldOfViewHorizontalFlip") == "YES" or _turned_by(header) not in {"", "0"}


def _turned_by(header: Dataset) -> str:
    return text(header, "FieldOfViewRotation").partition(".")[0]
