"""A stored image as a radiologist sees it: decoded, windowed, cropped, upright, 8 bit.

It runs in the drafting worker, never on the network thread. The order is that of PS3.4 Annex N:
decode → mask padding → Modality LUT → VOI LUT → invert once → crop to the collimator → square
pixels → orientation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from echo_node.dicom.header import read_whole
from echo_node.dicom.header_values import PARSE_ERRORS, numbers
from echo_node.dicom.image.collimation import opening, shutter
from echo_node.dicom.image.decoding import decoded
from echo_node.dicom.image.greyscale import displayed_grey
from echo_node.dicom.image.orientation import patient_orientation
from echo_node.domain.ports import PixelReader
from echo_node.domain.studies.study import (
    GreyImage,
    Greyscale,
    HeaderRemark,
    SelectedImage,
    StoredInstance,
)
from echo_node.errors import NotEligible, PermanentError

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
"""Each is rows, then columns. The last counts without physical spacing (PS3.3 C.7.6.3.1.7)."""
_SQUARE_ENOUGH, _MOST_OBLONG = 1.01, 4.0


class DisplayedPixels:
    """Implements the PixelReader port."""

    def __init__(self, greyscale: Greyscale = Greyscale.WINDOW) -> None:
        self._greyscale = greyscale

    def read(self, image: SelectedImage) -> GreyImage:
        """Return the displayed image at full resolution.

        Raises:
            NotEligible: the image shows nothing.
            PermanentError: the pixel data cannot be decoded or shown.
        """
        data_set = read_whole(image.instance.path)
        try:
            grey, remarks = self._shown(data_set)
        except MemoryError as error:
            raise PermanentError("the image does not fit into memory") from error
        height, width = grey.shape
        return GreyImage(width, height, grey.tobytes(), remarks)

    def _shown(self, data_set: Dataset) -> tuple[NDArray[np.uint8], tuple[HeaderRemark, ...]]:
        frame = decoded(data_set)
        height, width = frame.words.shape
        left = opening(data_set, height, width)
        try:
            shown = replace(frame, words=left.of(frame.words))
            displayed = displayed_grey(frame, data_set, self._greyscale, shown)
        except PARSE_ERRORS as error:
            raise PermanentError(
                "the image cannot be shown: its window or look-up table is invalid; send it again"
            ) from error
        if displayed.is_blank:
            raise NotEligible("the image shows nothing: nearly all of its pixels have one value")
        grey = displayed.grey
        if (covered := shutter(data_set, height, width)) is not None:
            grey[left.of(covered)] = 0
        grey = _square(grey, data_set)
        orientation = patient_orientation(data_set)
        if orientation is not None and orientation.is_frontal:
            grey = orientation.as_displayed(grey)
        return grey, displayed.remarks


class PixelCache:
    """Implements the PixelReader port: decodes an image once for view check and model.

    Args:
        reader: decodes the image.
    """

    def __init__(self, reader: PixelReader) -> None:
        self._reader = reader
        self._kept: tuple[StoredInstance, GreyImage] | None = None

    def read(self, image: SelectedImage) -> GreyImage:
        """Return the displayed image, and cache it for one more read.

        Raises:
            NotEligible: the image shows nothing.
            PermanentError: the pixel data cannot be decoded or shown.
        """
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == image.instance:
            return kept[1]
        shown = self._reader.read(image)
        self._kept = (image.instance, shown)
        return shown


def _square(grey: NDArray[np.uint8], data_set: Dataset) -> NDArray[np.uint8]:
    """Stretch oblong pixels to squares; a ratio that no detector has is ignored."""
    ratio = _row_to_column_spacing(data_set)
    if not _SQUARE_ENOUGH < max(ratio, 1 / ratio) <= _MOST_OBLONG:
        return grey
    height, width = grey.shape
    size = (width, round(height * ratio)) if ratio > 1 else (round(width / ratio), height)
    return np.asarray(Image.fromarray(grey, "L").resize(size, Image.Resampling.BILINEAR))


def _row_to_column_spacing(data_set: Dataset) -> float:
    """Return the height of a pixel divided by its width; 1 without a valid spacing."""
    for keyword in _SPACINGS:
        stated = numbers(data_set, keyword)
        if len(stated) != 2:
            continue
        rows, columns = stated
        if 0 < rows < np.inf and 0 < columns < np.inf:
            return rows / columns
    return 1.0
