"""Stored values to displayed grey values (PS3.3 C.11.1 Modality LUT, C.11.2 VOI LUT, C.7.6.3).

A grey value depends on the stored value alone. Therefore the computation runs once for each
possible word, in double precision, and the image is one look-up. This is exact and fast, and needs
no floating-point copy of the image. There are no files and no decoding here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from echo_node.dicom.header_values import PARSE_ERRORS, each_number, items, numbers, whole_number
from echo_node.dicom.header_values import values as values_of
from echo_node.dicom.image.decoding import StoredFrame
from echo_node.dicom.image.lookup_table import LookupTable, lookup_table
from echo_node.dicom.image.photometric import MONOCHROME1, grey_interpretation
from echo_node.dicom.image.visibility import Sample, Visible, stretched
from echo_node.domain.studies.study import Greyscale, HeaderRemark

Values = NDArray[np.float64]

_BLACK, _WHITE = 0, 255
_LARGEST = 1e30
"""Limit far beyond any unit; differences and quotients below it are still finite."""
_MOST_DISPLAYS = 16
"""Number of stated windows and tables that are tried; more are a fault of the header."""


@dataclass(frozen=True, slots=True)
class Displayed:
    """An image as grey values.

    Attributes:
        grey: (H, W) of 8-bit grey values, 0 black.
        remarks: what the header states about the display and was not followed.
        is_blank: whether nearly everything has one grey value, however it is displayed.
    """

    grey: NDArray[np.uint8]
    remarks: tuple[HeaderRemark, ...] = ()
    is_blank: bool = False


def displayed_grey(
    frame: StoredFrame,
    data_set: Dataset,
    greyscale: Greyscale = Greyscale.WINDOW,
    shown: StoredFrame | None = None,
) -> Displayed:
    """Return 8-bit grey values of one monochrome frame: Modality LUT → display → inverted once.

    Of the displays in their order, the first that leaves enough of the image is used, or else the
    very first. Padding is black and does not influence the rest, unless it covers the picture.

    Args:
        frame: the whole image, whose values set the contrast if no window does.
        data_set: attributes of the image.
        greyscale: mapping to grey values. `minmax-equalised` is that of the published chest X-ray
            JPEGs (MIMIC-CXR-JPG): the range from least to greatest value of the shown part is
            truncated to 8 bits, inverted once, and equalised by histogram as in OpenCV's
            equalizeHist. Windows have no influence.
        shown: part of the image to return; the whole image by default.

    Raises:
        ValueError, TypeError, KeyError, IndexError, AttributeError: the attributes are invalid.
    """
    shown = shown or frame
    is_equalised = greyscale is Greyscale.MINMAX_EQUALISED
    with np.errstate(over="ignore"):  # a window of almost no width is a threshold
        values, counts = frame.values, _Counts(shown if is_equalised else frame)
        modality = _modality(values, data_set, is_signed=frame.is_signed)
        padding = _padding(values, data_set)
        sample = Sample(shown, padding)
        ignored = np.zeros_like(padding)
        if padding.any() and not sample.is_padding_credible(modality):
            padding, ignored = ignored, padding
            sample = Sample(shown, padding)
        stated = iter(()) if is_equalised else _stated(modality, data_set)
        if sample.is_blank(modality) and not sample.is_blank(values):  # so is the Modality LUT's result
            modality, stated = values.astype(np.float64), iter((None,))
        ranges = _ranges(modality, padding, counts, sample)
        chosen = _chosen(stated, ranges, sample, sample.reference(modality))
    fraction = 1.0 - chosen.fraction if is_inverted(data_set) else chosen.fraction
    table = _equalised(fraction, padding, counts) if is_equalised else _rounded(fraction)
    table[padding] = _BLACK
    is_padding_remarked = ignored.any() and sample.is_seen(table, ignored)
    remarks = (HeaderRemark.PADDING_IGNORED if is_padding_remarked else None, chosen.remark)
    return Displayed(shown.looked_up(table), tuple(each for each in remarks if each), chosen.is_blank)


def is_inverted(data_set: Dataset) -> bool:
    """Return whether low values are bright, as one of two attributes states, or both."""
    return grey_interpretation(data_set) == MONOCHROME1 or "INVERSE" in values_of(
        data_set, "PresentationLUTShape"
    )


_Stated = Values | Exception | None
"""Value in 0 to 1 for each word; the error of an invalid table; None for a window without width."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """The display that is used: its value in 0 to 1 for each word, and what to remark on it."""

    fraction: Values
    remark: HeaderRemark | None
    is_blank: bool


def _chosen(
    stated: Iterator[_Stated], ranges: Iterator[Values], sample: Sample, reference: Visible
) -> _Choice:
    """Return the first display that leaves enough, or else the first that is valid.

    Raises:
        ValueError, TypeError, KeyError, IndexError, AttributeError: none leaves enough, and a
            stated look-up table is invalid.
    """
    seen: list[_Choice] = []
    is_first, faults = True, []
    for remark, displays in ((HeaderRemark.OTHER_DISPLAY, stated), (HeaderRemark.RANGE_DISPLAYED, ranges)):
        for fraction in displays:
            if isinstance(fraction, Exception):
                faults.append(fraction)
            elif fraction is not None:
                visible = sample.seen(fraction)
                choice = _Choice(fraction, None if is_first else remark, visible.is_blank)
                if visible.is_enough(reference):
                    return choice
                seen.append(choice)
            is_first = False
    if faults:
        raise faults[0]
    return replace(seen[0], is_blank=all(each.is_blank for each in seen))


def _rounded(fraction: Values) -> NDArray[np.uint8]:
    return np.rint(fraction * _WHITE).astype(np.uint8)


def _equalised(fraction: Values, padding: NDArray[np.bool_], counts: _Counts) -> NDArray[np.uint8]:
    """Truncate to 8 bits, then equalise as OpenCV's equalizeHist: the darkest grey becomes 0."""
    scaled = np.floor(fraction * _WHITE + 1e-9).astype(np.int64)
    wanted = np.where(padding, 0, counts.of_words)
    histogram = np.bincount(scaled, weights=wanted, minlength=256).astype(np.int64)
    darkest = int(np.flatnonzero(histogram)[0])
    rest = histogram.sum() - histogram[darkest]
    if rest == 0:
        return np.full(len(scaled), darkest, dtype=np.uint8)
    below = np.cumsum(histogram) - histogram[: darkest + 1].sum()
    spread = np.rint(np.clip(below, 0, None).astype(np.float32) * np.float32(_WHITE / rest))
    return np.asarray(np.clip(spread, 0, _WHITE), dtype=np.uint8)[scaled]


class _Counts:
    """Number of occurrences of each word, counted on first use."""

    def __init__(self, frame: StoredFrame) -> None:
        self._frame = frame

    @cached_property
    def of_words(self) -> NDArray[np.int64]:
        return self._frame.counts()


def _padding(values: NDArray[np.int64], data_set: Dataset) -> NDArray[np.bool_]:
    """Return a mask of the padding values (PS3.3 C.7.5.1.1.2)."""
    padding = np.zeros(len(values), dtype=bool)
    value = whole_number(data_set, "PixelPaddingValue")
    if value is None:
        return padding
    limit = whole_number(data_set, "PixelPaddingRangeLimit")
    ends = [_as_stored(each, values) for each in (value, value if limit is None else limit)]
    return (values >= min(ends)) & (values <= max(ends))


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


def _stated(values: Values, data_set: Dataset) -> Iterator[_Stated]:
    """Yield what the image states: VOI LUTs, then windows."""
    is_signed = bool(values.min() < 0)
    for item in _tables(data_set, "VOILUTSequence")[:_MOST_DISPLAYS]:
        try:
            table = _table(item, data_set, is_signed=is_signed)
            yield np.asarray(table(values) / (2**table.bits - 1))
        except PARSE_ERRORS as error:
            yield error
    function = (values_of(data_set, "VOILUTFunction") or ["LINEAR"])[0].upper()
    centres, widths = each_number(data_set, "WindowCenter"), each_number(data_set, "WindowWidth")
    for centre, width in [*zip(centres, widths, strict=False)][:_MOST_DISPLAYS]:
        if centre is None or width is None or width <= 0:
            yield None
        else:
            yield windowed(values, centre, width, function)


def _ranges(values: Values, padding: NDArray[np.bool_], counts: _Counts, sample: Sample) -> Iterator[Values]:
    """Yield the range of values: from least to greatest, then without outliers.

    A few defect pixels or a burned-in label may be far from all others.
    """
    occurring = values[(counts.of_words > 0) & ~padding]
    least, greatest = (occurring.min(), occurring.max()) if len(occurring) else (0.0, 0.0)
    yield stretched(values, float(least), float(greatest))
    yield stretched(values, *sample.span(values))


def windowed(values: Values, centre: float, width: float, function: str) -> Values:
    """Return values in 0 to 1, by a window of some width (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -80.0, 80.0)))
    if function != "LINEAR_EXACT":
        centre, width = centre - 0.5, width - 1.0
    if width <= 0.0:
        return (values > centre).astype(np.float64)
    return np.clip((values - centre) / width + 0.5, 0.0, 1.0)


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
