"""Stored values to displayed grey values (PS3.3 C.11.1 Modality LUT, C.11.2 VOI LUT, C.7.6.3).

A grey value depends on the stored value alone. Therefore the computation runs once for each
possible word, in double precision, and the image is one look-up. This is exact and fast, and needs
no floating-point copy of the image. There are no files and no decoding here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from echo_node.dicom.header_values import items, numbers, whole_number
from echo_node.dicom.header_values import values as values_of
from echo_node.dicom.image.decoding import StoredFrame
from echo_node.dicom.image.lookup_table import LookupTable, lookup_table
from echo_node.dicom.image.photometric import MONOCHROME1, grey_interpretation
from echo_node.domain.studies.study import Greyscale

Values = NDArray[np.float64]

_BLACK, _WHITE = 0, 255
_LARGEST = 1e30
"""Limit far beyond any unit; differences and quotients below it are still finite."""


def displayed_grey(
    frame: StoredFrame,
    data_set: Dataset,
    greyscale: Greyscale = Greyscale.WINDOW,
    shown: StoredFrame | None = None,
) -> NDArray[np.uint8]:
    """Return 8-bit grey values, 0 black, of one monochrome frame.

    Padding is black and does not influence the rest.

    Args:
        frame: the whole image, whose values set the contrast if no window does.
        data_set: attributes of the image.
        greyscale: mapping to grey values.
        shown: part of the image to return; the whole image by default.

    Raises:
        ValueError, TypeError, KeyError, IndexError, AttributeError: the attributes are invalid.
    """
    shown = shown or frame
    with np.errstate(over="ignore"):  # a window of almost no width is a threshold
        table = _RECIPES[greyscale](frame, shown, data_set)
    return shown.looked_up(table)


def is_inverted(data_set: Dataset) -> bool:
    """Return whether low values are bright, as one of two attributes states, or both."""
    return grey_interpretation(data_set) == MONOCHROME1 or "INVERSE" in values_of(
        data_set, "PresentationLUTShape"
    )


def _as_a_viewer(frame: StoredFrame, shown: StoredFrame, data_set: Dataset) -> NDArray[np.uint8]:
    """Return the grey of each word: Modality LUT → VOI LUT or window → inverted once."""
    values, counts = frame.values, _Counts(frame)
    padding = _padding(values, data_set, counts)
    grey = _voi(_modality(values, data_set, is_signed=frame.is_signed), data_set, padding, counts)
    if is_inverted(data_set):
        grey = 1.0 - grey
    table = np.rint(grey * _WHITE).astype(np.uint8)
    table[padding] = _BLACK
    return table


def _minmax_equalised(frame: StoredFrame, shown: StoredFrame, data_set: Dataset) -> NDArray[np.uint8]:
    """Return the grey of each word as in the published chest X-ray JPEGs (MIMIC-CXR-JPG).

    The range from least to greatest value of the shown part is truncated to 8 bits, inverted once,
    and equalised by histogram as in OpenCV's equalizeHist. Windows and padding have no influence.
    """
    values, counts = frame.values, _Counts(shown)
    padding = _padding(values, data_set, counts)
    modality = _modality(values, data_set, is_signed=frame.is_signed)
    fraction = _between_extremes(modality, padding, counts)
    if is_inverted(data_set):
        fraction = 1.0 - fraction
    scaled = np.floor(fraction * _WHITE + 1e-9).astype(np.int64)
    wanted = np.where(padding, 0, counts.of_words)
    histogram = np.bincount(scaled, weights=wanted, minlength=256).astype(np.int64)
    table = _equalised(histogram)[scaled]
    table[padding] = _BLACK
    return table


_RECIPES: dict[Greyscale, Callable[[StoredFrame, StoredFrame, Dataset], NDArray[np.uint8]]] = {
    Greyscale.WINDOW: _as_a_viewer,
    Greyscale.MINMAX_EQUALISED: _minmax_equalised,
}


def _equalised(histogram: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the table of OpenCV's equalizeHist, which maps the darkest grey to 0."""
    darkest = int(np.flatnonzero(histogram)[0])
    rest = histogram.sum() - histogram[darkest]
    if rest == 0:
        return np.full(256, darkest, dtype=np.uint8)
    below = np.cumsum(histogram) - histogram[: darkest + 1].sum()
    spread = np.rint(np.clip(below, 0, None).astype(np.float32) * np.float32(_WHITE / rest))
    return np.asarray(np.clip(spread, 0, _WHITE), dtype=np.uint8)


class _Counts:
    """Number of occurrences of each word, counted on first use."""

    def __init__(self, frame: StoredFrame) -> None:
        self._frame = frame

    @cached_property
    def of_words(self) -> NDArray[np.int64]:
        return self._frame.counts()


def _padding(values: NDArray[np.int64], data_set: Dataset, counts: _Counts) -> NDArray[np.bool_]:
    """Return a mask of the padding values (PS3.3 C.7.5.1.1.2)."""
    padding = np.zeros(len(values), dtype=bool)
    value = whole_number(data_set, "PixelPaddingValue")
    if value is None:
        return padding
    limit = whole_number(data_set, "PixelPaddingRangeLimit")
    ends = [_as_stored(each, values) for each in (value, value if limit is None else limit)]
    padding = (values >= min(ends)) & (values <= max(ends))
    # A value that covers everything is a fault of the header, not an empty image.
    return padding if counts.of_words[~padding].any() else np.zeros_like(padding)


def _as_stored(number: int, values: NDArray[np.int64]) -> int:
    """Return a value of ambiguous representation (US or SS) in the range of stored values."""
    for each in (number, number - 0x10000, number + 0x10000):
        if values.min() <= each <= values.max():
            return each
    return number


def _modality(values: NDArray[np.int64], data_set: Dataset, *, is_signed: bool) -> Values:
    if tables := _tables(data_set, "ModalityLUTSequence"):
        return _table(tables[0], data_set, is_signed=is_signed)(values)
    slope, intercept = _first(data_set, "RescaleSlope"), _first(data_set, "RescaleIntercept")
    if slope is None or slope == 0.0:
        slope, intercept = 1.0, 0.0
    rescaled = values * np.float64(slope) + np.float64(intercept or 0.0)
    if not (np.abs(rescaled) < _LARGEST).all():
        raise ValueError("the rescale gives infinite values")
    return rescaled


def _voi(values: Values, data_set: Dataset, padding: NDArray[np.bool_], counts: _Counts) -> Values:
    """Return values in 0 to 1: by the VOI LUT, the first window, or least to greatest."""
    if tables := _tables(data_set, "VOILUTSequence"):
        table = _table(tables[0], data_set, is_signed=bool(values.min() < 0))
        return np.asarray(table(values) / (2**table.bits - 1))
    centre, width = _first(data_set, "WindowCenter"), _first(data_set, "WindowWidth")
    if centre is not None and width is not None and width > 0:
        function = values_of(data_set, "VOILUTFunction") or ["LINEAR"]
        return _windowed(values, centre, width, function[0].upper())
    return _between_extremes(values, padding, counts)


def _windowed(values: Values, centre: float, width: float, function: str) -> Values:
    """Apply a window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -80.0, 80.0)))
    if function != "LINEAR_EXACT":
        centre, width = centre - 0.5, width - 1.0
    if width <= 0.0:
        return (values > centre).astype(np.float64)
    return np.clip((values - centre) / width + 0.5, 0.0, 1.0)


def _between_extremes(values: Values, padding: NDArray[np.bool_], counts: _Counts) -> Values:
    """Return 0 for the least occurring value and 1 for the greatest; a flat image is black."""
    occurring = values[(counts.of_words > 0) & ~padding]
    if not len(occurring):
        return np.zeros_like(values)
    least, greatest = float(occurring.min()), float(occurring.max())
    return np.clip((values - least) / max(greatest - least, 1e-6), 0.0, 1.0)


def _table(item: Dataset, data_set: Dataset, *, is_signed: bool) -> LookupTable:
    little_endian = data_set.original_encoding[1] in (True, None)
    return lookup_table(item, is_signed=is_signed, little_endian=little_endian)


def _tables(data_set: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a LUT sequence; an empty item hides no other way to display the image."""
    return [item for item in items(data_set, keyword) if len(item)]


def _first(data_set: Dataset, keyword: str) -> float | None:
    """Return the first value of a decimal attribute; None if one of them is not a number."""
    found = numbers(data_set, keyword)
    return found[0] if found else None
