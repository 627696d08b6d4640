from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from pydicom.dataset import Dataset

from echo_node.dicom.image.orientation import PatientOrientation, patient_orientation

MakeChest = Callable[..., Dataset]

# As displayed: right shoulder upper left (1), left shoulder upper right (2), feet below (3, 4).
UPRIGHT = np.array([[1, 2], [3, 4]], dtype=np.uint8)
DIRECTIONS = {
    ("L", "F"): UPRIGHT,
    ("R", "F"): UPRIGHT[:, ::-1],
    ("L", "H"): UPRIGHT[::-1, :],
    ("R", "H"): UPRIGHT[::-1, ::-1],
    ("F", "L"): UPRIGHT.T,
    ("H", "L"): UPRIGHT[::-1, :].T,
    ("F", "R"): UPRIGHT[:, ::-1].T,
    ("H", "R"): UPRIGHT[::-1, ::-1].T,
}


@pytest.mark.parametrize(("rows", "columns"), DIRECTIONS)
def test_every_frontal_orientation_is_laid_upright(rows: str, columns: str) -> None:
    orientation = PatientOrientation(rows, columns)
    assert orientation.is_frontal
    assert orientation.as_displayed(DIRECTIONS[rows, columns]).tolist() == UPRIGHT.tolist()


def test_only_those_eight_are_frontal() -> None:
    for rows, columns in product("LRHFAP", repeat=2):
        assert PatientOrientation(rows, columns).is_frontal == ((rows, columns) in DIRECTIONS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["L", "F"], ("L", "F")),
        (["R", "FP"], ("R", "F")),
        (["l", "f"], ("L", "F")),
        (["L", "R"], None),
        (["L"], None),
        (["", ""], None),
        (["LE", "RT"], None),
        (None, None),
    ],
)
def test_what_the_header_states(
    make_chest: MakeChest, value: list[str] | None, expected: tuple[str, str] | None
) -> None:
    stated = patient_orientation(make_chest(PatientOrientation=value))
    assert (stated and (stated.rows, stated.columns)) == expected
