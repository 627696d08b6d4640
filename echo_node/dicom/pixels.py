"""A stored image as a radiologist sees it: decoded, windowed, cropped, upright, 8 bit.

Runs in the drafting worker, never on the network thread. In the order of PS3.4 Annex N: decode →
padding masked → Modality LUT → VOI LUT → invert once → crop to the collimator → orientation → 8 bit.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEGExtended12Bit

from echo_node.dicom.greyscale import displayed_grey
from echo_node.dicom.header import PARSE_ERRORS, instance_from_file, values
from echo_node.dicom.orientation import patient_orientation
from echo_node.dicom.views import DEFAULTS, ChestImageSelector
from echo_node.domain.study import GreyImage, SelectedImage, Selection
from echo_node.errors import PermanentError
from echo_node.settings import SelectionSettings

MAXIMUM_PIXELS = 64 * 1024 * 1024
"""More than four times the largest detector's; a header that claims more is a decompression bomb."""

_LEAST_SIDE = 16
_FIRST_PLUG_IN = "pylibjpeg"
_LEAST_CROP = 0.25


class DisplayedPixels:
    """Fulfils the PixelReader port."""

    def read(self, image: SelectedImage) -> GreyImage:
        """Return the displayed image at full resolution.

        Raises:
            PermanentError: the pixel data cannot be decoded or shown.
        """
        data_set = _parsed(image.instance.path)
        stored = _decoded(data_set, image.instance.path)
        try:
            grey = _cropped(displayed_grey(stored, data_set), data_set)
        except PARSE_ERRORS as error:
            raise PermanentError(
                "the image cannot be shown: its window or look-up table makes no sense; send it again"
            ) from error
        orientation = patient_orientation(data_set)
        if orientation is not None and orientation.is_frontal:
            grey = orientation.as_displayed(grey)
        height, width = grey.shape
        return GreyImage(width, height, np.ascontiguousarray(grey).tobytes())


def read_file(path: Path, settings: SelectionSettings = DEFAULTS) -> tuple[Selection, GreyImage]:
    """Return the chest image of one DICOM file from anywhere, and its selection for a report encoder.

    The same rules hold as for a received study.

    Args:
        path: the file.
        settings: what else may not be read.

    Raises:
        NotEligible: it is not an image to draft from; the message says why.
        PermanentError: it is not a whole DICOM file, or its pixel data cannot be decoded.
    """
    selection = ChestImageSelector(settings).select([instance_from_file(path)])
    return selection, DisplayedPixels().read(selection.images[0])


def _parsed(path: Path) -> Dataset:
    try:
        return dcmread(path)
    except OSError as error:
        raise PermanentError(
            f"the image cannot be read ({error.strerror or type(error).__name__})"
        ) from error
    except PARSE_ERRORS as error:
        raise PermanentError("the image is not a readable DICOM file") from error


def _decoded(data_set: Dataset, path: Path) -> NDArray[np.generic]:
    """Return the stored values of the one frame.

    Raises:
        PermanentError: they cannot be had.
    """
    try:
        rows, columns = int(data_set.Rows), int(data_set.Columns)
        samples, bits = int(data_set.SamplesPerPixel), int(data_set.BitsAllocated)
        syntax = UID(data_set.file_meta.TransferSyntaxUID)
    except PARSE_ERRORS as error:
        raise PermanentError("the image lacks attributes that describe its pixels") from error
    if samples != 1 or bits not in {8, 16}:
        raise PermanentError("the image is not an 8 or 16 bit greyscale image")
    if min(rows, columns) < _LEAST_SIDE or rows * columns > MAXIMUM_PIXELS:
        raise PermanentError(f"the image's size, {columns} by {rows} pixels, is not that of a radiograph")
    if "PixelData" not in data_set:
        raise PermanentError("the image has no pixel data")
    try:
        if syntax == JPEGExtended12Bit and data_set.BitsStored > 8:
            stored = _decoded_by_gdcm(path)
        else:
            stored = _decoded_by_plug_ins(data_set, syntax)
    except (*PARSE_ERRORS, RuntimeError, MemoryError, OSError) as error:
        raise PermanentError(
            f"the pixel data cannot be decoded ({syntax.name}); send the image again, or uncompressed"
        ) from error
    if stored.shape != (rows, columns):
        raise PermanentError("the pixel data is not of the size that the header says")
    return stored


def _decoded_by_plug_ins(data_set: Dataset, syntax: UID) -> NDArray[np.generic]:
    """Decode with pylibjpeg where it can (JPEG 2000, RLE), else with what pydicom finds."""
    decoder = get_decoder(syntax)
    if _FIRST_PLUG_IN in decoder.available_plugins:
        try:
            return decoder.as_array(data_set, index=0, raw=True, decoding_plugin=_FIRST_PLUG_IN)[0]
        except RuntimeError:  # it declines this stream; another may not
            pass
    return decoder.as_array(data_set, index=0, raw=True)[0]


def _decoded_by_gdcm(path: Path) -> NDArray[np.generic]:
    """Decode 12-bit JPEG Extended, which GDCM does right although pydicom's plug-in declines it."""
    import gdcm

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise ValueError("GDCM cannot read the file")
    image = reader.GetImage()
    if image.GetPixelFormat().GetBitsAllocated() != 16:
        raise ValueError("the code stream is not of 16 bit samples")
    # SWIG hands out bytes as a string with surrogates.
    buffer = image.GetBuffer().encode("utf-8", "surrogateescape")
    width, height = image.GetDimension(0), image.GetDimension(1)
    return np.frombuffer(buffer, dtype="<u2").reshape(height, width)


def _cropped(grey: NDArray[np.uint8], data_set: Dataset) -> NDArray[np.uint8]:
    """Cut away what lies behind a rectangular collimator (PS3.3 C.8.7.3) or shutter (C.7.6.11).

    Edges that do not lie in the image, or leave too little of it, are in other units than pixels
    (which scanners do send) and are ignored.
    """
    height, width = grey.shape
    top, bottom, left, right = 0, height, 0, width
    for prefix, shape in (("Collimator", "CollimatorShape"), ("Shutter", "ShutterShape")):
        if "RECTANGULAR" not in values(data_set, shape):
            continue
        edges = [_edge(data_set, f"{prefix}{edge}Edge") for edge in _EDGES]
        if any(edge is None for edge in edges):
            continue
        first_row, last_row, first_column, last_column = (edge or 0 for edge in edges)
        # An edge names the first row or column outside, counted from 1 (0 and size + 1 are the borders).
        if (
            0 <= first_row < last_row <= height + 1
            and 0 <= first_column < last_column <= width + 1
            and (last_row - first_row) * (last_column - first_column) >= _LEAST_CROP * height * width
        ):
            top, bottom = max(top, first_row), min(bottom, last_row - 1)
            left, right = max(left, first_column), min(right, last_column - 1)
    return grey[top:bottom, left:right] if top < bottom and left < right else grey


_EDGES = ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")


def _edge(data_set: Dataset, keyword: str) -> int | None:
    found = values(data_set, keyword)
    return int(found[0]) if found and found[0] else None
