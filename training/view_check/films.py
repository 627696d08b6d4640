"""Real images that packages ship: the radiographs and the other images of pydicom's test files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.data import get_testdata_file, get_testdata_files

from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.domain.studies.appearance import Sight
from echo_node.domain.studies.study import (
    GreyImage,
    Greyscale,
    InstanceIdentity,
    SelectedImage,
    StoredInstance,
)
from echo_node.errors import EchoNodeError
from echo_node.inference.view_check import ViewCheck

Pixels = NDArray[np.uint8]

_CHEST, _LEG = "RG1_UNCR.dcm", "RG3_UNCR.dcm"
_LARGEST = 8_000_000
"""Largest file to read among the others, in bytes."""


@dataclass(frozen=True, slots=True)
class Film:
    """A real image and the result of the view check.

    Attributes:
        name: description of the image.
        sight: result of the check.
    """

    name: str
    sight: Sight


def films(check: ViewCheck) -> list[Film]:
    """Return the results for the real radiographs; none if pydicom-data is not installed."""
    shown = {name: _pixels(_path(name)) for name in (_CHEST, _LEG)}
    chest, leg = shown[_CHEST], shown[_LEG]
    if chest is None or leg is None:
        return []
    laid = {
        "chest (RG1)": chest,
        "chest, mirrored": chest[:, ::-1],
        "chest, upside down": chest[::-1],
        "chest, on its left side": np.rot90(chest),
        "chest, on its right side": np.rot90(chest, 3),
        "chest, inverted": 255 - chest,
        "lower leg (RG3)": leg,
    }
    return [Film(name, check.look(_grey(each))) for name, each in laid.items()]


def other_images(check: ViewCheck) -> list[Film]:
    """Return the results for every other image of pydicom's test files that can be displayed."""
    return [
        Film(path.name, check.look(_grey(pixels)))
        for path in _other_files()
        if (pixels := _pixels(path)) is not None
    ]


def _other_files() -> Iterator[Path]:
    found = {Path(each).name: Path(each) for each in get_testdata_files("*.dcm")}
    for name in sorted(found):
        if not name.startswith("RG") and found[name].stat().st_size < _LARGEST:
            yield found[name]


def _path(name: str) -> Path | None:
    found = get_testdata_file(name, download=False)
    return Path(found) if isinstance(found, str) else None


def _pixels(path: Path | None) -> Pixels | None:
    if path is None:
        return None
    instance = StoredInstance(InstanceIdentity("", "", "", "", ""), path, "")
    try:
        shown = DisplayedPixels(Greyscale.WINDOW).read(SelectedImage(instance, ""))
    except EchoNodeError:
        return None
    return np.frombuffer(shown.pixels, np.uint8).reshape(shown.height, shown.width)


def _grey(pixels: Pixels) -> GreyImage:
    return GreyImage(pixels.shape[1], pixels.shape[0], np.ascontiguousarray(pixels).tobytes())
