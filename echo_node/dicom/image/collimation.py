"""Irradiated part of an image: display shutters (PS3.3 C.7.6.11) and collimators (C.8.7.3).

Both crop the image to the rectangle around their opening. The corners outside a round or polygonal
shutter are black, as the Standard requires. Edges outside the image, or that leave too little of
it, are in other units than pixels, as some scanners send them, and are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from echo_node.dicom.header_values import numbers, values

_Kind = TypeVar("_Kind", bound=np.generic)

_LEAST_PART = 0.25
_EDGES = ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")


@dataclass(frozen=True, slots=True)
class Opening:
    """Rows [top, bottom) and columns [left, right) of an image."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """Number of its pixels; not positive if it is empty."""
        return (self.bottom - self.top) * (self.right - self.left) if self.bottom > self.top else 0

    def within(self, other: Opening) -> Opening:
        """Return the intersection."""
        return Opening(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def of(self, pixels: NDArray[_Kind]) -> NDArray[_Kind]:
        """Return this part of an image."""
        return pixels[self.top : self.bottom, self.left : self.right]


def opening(data_set: Dataset, height: int, width: int) -> Opening:
    """Return the opening of collimator and shutter in an image of this size."""
    left = whole = Opening(0, height, 0, width)
    for prefix in ("Collimator", "Shutter"):
        for around, _ in _shapes(data_set, prefix, whole):
            left = left.within(around)
    return left if left.area > 0 else whole


def shutter(data_set: Dataset, height: int, width: int) -> NDArray[np.bool_] | None:
    """Return a mask (height, width) of a round or polygonal shutter; None without one."""
    covered: NDArray[np.bool_] | None = None
    for _, outline in _shapes(data_set, "Shutter", Opening(0, height, 0, width)):
        if not outline:
            continue
        mask = Image.new("1", (width, height), 1)
        if len(outline) == 2:
            ImageDraw.Draw(mask).ellipse(outline, fill=0)
        else:
            ImageDraw.Draw(mask).polygon(outline, fill=0)
        outside = np.asarray(mask)
        covered = outside if covered is None else covered | outside
    return covered


_Outline = list[tuple[int, int]]
"""Vertices (x, y) of a polygon, or two corners of a circle's square; empty for a rectangle."""


def _shapes(data_set: Dataset, prefix: str, whole: Opening) -> Iterator[tuple[Opening, _Outline]]:
    """Yield each valid shape: its opening, and its outline unless it is a rectangle."""
    stated = values(data_set, f"{prefix}Shape")
    for name, read in (("RECTANGULAR", _rectangle), ("CIRCULAR", _circle), ("POLYGONAL", _polygon)):
        shape = read(data_set, prefix, whole) if name in stated else None
        if shape is not None and shape[0].area >= _LEAST_PART * whole.area:
            yield shape


def _rectangle(data_set: Dataset, prefix: str, whole: Opening) -> tuple[Opening, _Outline] | None:
    edges = [_whole_numbers(data_set, f"{prefix}{edge}Edge") for edge in _EDGES]
    if not all(len(edge) == 1 for edge in edges):
        return None
    # An edge names the first row or column outside, counted from 1 (0 and size + 1 are the
    # borders).
    (upper,), (lower,), (left,), (right,) = edges
    around = Opening(upper, lower - 1, left, right - 1)
    return (around, []) if around == around.within(whole) else None


def _circle(data_set: Dataset, prefix: str, whole: Opening) -> tuple[Opening, _Outline] | None:
    centre = _whole_numbers(data_set, f"CenterOfCircular{prefix}")
    radii = _whole_numbers(data_set, f"RadiusOfCircular{prefix}")
    if len(centre) != 2 or len(radii) != 1:
        return None
    (row, column), (radius,) = (each - 1 for each in centre), radii
    height, width = whole.bottom, whole.right
    if not (0 <= row < height and 0 <= column < width and 0 < radius < height + width):
        return None
    around = Opening(row - radius, row + radius + 1, column - radius, column + radius + 1)
    return around.within(whole), [(column - radius, row - radius), (column + radius, row + radius)]


def _polygon(data_set: Dataset, prefix: str, whole: Opening) -> tuple[Opening, _Outline] | None:
    numbers = _whole_numbers(data_set, f"VerticesOfThePolygonal{prefix}")
    if len(numbers) < 6 or len(numbers) % 2:
        return None
    rows, columns = ([each - 1 for each in numbers[start::2]] for start in (0, 1))
    if min(rows + columns) < -1 or max(rows) > whole.bottom or max(columns) > whole.right:
        return None
    around = Opening(min(rows), max(rows) + 1, min(columns), max(columns) + 1)
    return around.within(whole), list(zip(columns, rows, strict=True))


def _whole_numbers(data_set: Dataset, keyword: str) -> list[int]:
    """Return the values of an integer attribute; none if one of them is not a whole number."""
    found = numbers(data_set, keyword)
    return [int(each) for each in found] if all(each == int(each) for each in found) else []
