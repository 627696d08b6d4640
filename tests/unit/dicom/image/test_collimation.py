"""Shutters and collimators: what they leave of an image, and what makes no sense and is ignored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from echo_node.dicom.image.collimation import Opening, opening, shutter

HEIGHT, WIDTH = 80, 100
WHOLE = Opening(0, HEIGHT, 0, WIDTH)


def described(**attributes: object) -> Dataset:
    data_set = Dataset()
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return data_set


def rectangle(prefix: str, upper: int, lower: int, left: int, right: int) -> dict[str, object]:
    return {
        f"{prefix}Shape": "RECTANGULAR",
        f"{prefix}UpperHorizontalEdge": upper,
        f"{prefix}LowerHorizontalEdge": lower,
        f"{prefix}LeftVerticalEdge": left,
        f"{prefix}RightVerticalEdge": right,
    }


def circle(prefix: str, row: int, column: int, radius: int) -> dict[str, object]:
    return {
        f"{prefix}Shape": "CIRCULAR",
        f"CenterOfCircular{prefix}": [row, column],
        f"RadiusOfCircular{prefix}": radius,
    }


def polygon(prefix: str, *vertices: int) -> dict[str, object]:
    return {f"{prefix}Shape": "POLYGONAL", f"VerticesOfThePolygonal{prefix}": list(vertices)}


BOTH = rectangle("Shutter", 4, 71, 10, 91) | rectangle("Collimator", 10, 81, 0, 101)


@pytest.mark.parametrize(
    ("attributes", "left"),
    [
        ({}, WHOLE),
        (rectangle("Collimator", 0, HEIGHT + 1, 0, WIDTH + 1), WHOLE),
        (rectangle("Collimator", 4, 71, 0, WIDTH + 1), Opening(4, 70, 0, WIDTH)),
        (rectangle("Shutter", 4, 71, 10, 91), Opening(4, 70, 10, 90)),
        (
            rectangle("Shutter", 4, 71, 10, 91) | rectangle("Collimator", 10, 81, 0, 101),
            Opening(10, 70, 10, 90),
        ),
        (circle("Shutter", 41, 51, 30), Opening(10, 71, 20, 81)),
        (circle("Shutter", 41, 51, 60), Opening(0, 80, 0, WIDTH)),
        (circle("Collimator", 41, 51, 30), Opening(10, 71, 20, 81)),
        (polygon("Shutter", 11, 11, 11, 91, 71, 91, 71, 11), Opening(10, 71, 10, 91)),
        (polygon("Collimator", 1, 51, 80, 1, 80, 100), WHOLE),
        # in other units than pixels, turned over, too small, incomplete, or no numbers
        (rectangle("Collimator", -184, 71, 0, 101), WHOLE),
        (rectangle("Collimator", 4, 1299, 0, 101), WHOLE),
        (rectangle("Collimator", 71, 4, 0, 101), WHOLE),
        (rectangle("Collimator", 40, 50, 0, 101), WHOLE),
        (rectangle("Collimator", 4, 71, 0, 101) | {"CollimatorShape": "CIRCULAR"}, WHOLE),
        (rectangle("Collimator", 4, 71, 0, 101) | {"CollimatorLeftVerticalEdge": None}, WHOLE),
        (circle("Shutter", 410, 51, 30), WHOLE),
        (circle("Shutter", 41, 51, 0), WHOLE),
        (circle("Shutter", 41, 51, 3000), WHOLE),
        (polygon("Shutter", 11, 11, 11, 91), WHOLE),
        (polygon("Shutter", 11, 11, 11, 91, 71), WHOLE),
        (polygon("Shutter", 11, 11, 11, 910, 71, 91), WHOLE),
    ],
)
def test_what_is_left(attributes: dict[str, object], left: Opening) -> None:
    assert opening(described(**attributes), HEIGHT, WIDTH) == left


@given(st.lists(st.integers(-10, 120), min_size=8, max_size=8))
def test_whatever_the_edges_at_least_a_piece_of_the_image_is_left(edges: list[int]) -> None:
    left = opening(
        described(**rectangle("Collimator", *edges[:4]), **rectangle("Shutter", *edges[4:])), HEIGHT, WIDTH
    )
    assert left == left.within(WHOLE)
    assert left.area > 0


def test_a_round_shutter_covers_what_is_outside() -> None:
    covered = shutter(described(**circle("Shutter", 41, 51, 30)), HEIGHT, WIDTH)
    assert covered is not None
    assert not covered[40, 20:81].any()
    assert covered[40, :20].all()
    assert covered[12, 22]
    assert abs((~covered).sum() - 3.1416 * 30**2) < 120


def test_two_shutters_cover_what_either_does() -> None:
    both = {**circle("Shutter", 41, 51, 30), **polygon("Shutter", 1, 1, 1, 100, 80, 100)}
    both["ShutterShape"] = ["CIRCULAR", "POLYGONAL"]
    covered = shutter(described(**both), HEIGHT, WIDTH)
    assert covered is not None
    assert covered[12, 22]  # outside of the circle
    assert covered[60, 40]  # below the diagonal
    assert not covered[40, 70]


@pytest.mark.parametrize(
    "attributes", [{}, rectangle("Shutter", 4, 71, 10, 91), circle("Collimator", 41, 51, 30)]
)
def test_a_rectangle_and_a_collimator_cover_nothing_that_is_left(attributes: dict[str, object]) -> None:
    assert shutter(described(**attributes), HEIGHT, WIDTH) is None
