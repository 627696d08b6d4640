"""Stored values to displayed grey values: PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.7.6.3 (pixels).

Pure functions on arrays and a data set; no files, no decoding. pydicom's own functions are not used
here, as they wrap the indices of 8-bit LUTs with more than 256 entries, warn on a VOI LUT after a
rescale, and refuse windows that scanners really send.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from echo_node.dicom.header import values as values_of

Values = NDArray[np.float32]


def displayed_grey(stored: NDArray[np.generic], data_set: Dataset) -> NDArray[np.uint8]:
    """Return 8-bit grey values, 0 black, of one monochrome frame of *stored* values.

    Padding is black and does not influence the rest.

    Raises:
        ValueError, TypeError, KeyError, IndexError: the attributes make no sense.
    """
    padding = _is_padding(stored, data_set)
    grey = _voi(_modality(stored.astype(np.float32), data_set), data_set, padding)
    if is_inverted(data_set):
        grey = 1.0 - grey
    if padding is not None:
        grey[padding] = 0.0
    return np.asarray(np.rint(grey * 255.0), dtype=np.uint8)


def is_inverted(data_set: Dataset) -> bool:
    """Say whether low values are bright: either attribute says so, and both together say it once."""
    return "MONOCHROME1" in values_of(data_set, "PhotometricInterpretation") or "INVERSE" in values_of(
        data_set, "PresentationLUTShape"
    )


def _is_padding(stored: NDArray[np.generic], data_set: Dataset) -> NDArray[np.bool_] | None:
    """Return the mask of Pixel Padding Value up to Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2)."""
    value = data_set.get("PixelPaddingValue")
    if value is None or value == "":
        return None
    limit = data_set.get("PixelPaddingRangeLimit")
    first, last = sorted((int(value), int(value if limit is None or limit == "" else limit)))
    comparable = stored.astype(np.int64, copy=False)
    mask: NDArray[np.bool_] = (comparable >= first) & (comparable <= last)
    # A value that covers everything is a fault of the header, not an empty image.
    return None if mask.all() else mask


def _modality(values: Values, data_set: Dataset) -> Values:
    if sequence := data_set.get("ModalityLUTSequence"):
        entries, first, _ = _table(sequence[0], data_set)
        return _looked_up(values, entries, first)
    slope, intercept = _number(data_set, "RescaleSlope"), _number(data_set, "RescaleIntercept")
    if slope is None or slope == 0.0:
        return values
    return values * np.float32(slope) + np.float32(intercept or 0.0)


def _voi(values: Values, data_set: Dataset, padding: NDArray[np.bool_] | None) -> Values:
    """Return values in 0 to 1: by the VOI LUT, else by the first window, else from least to greatest."""
    if sequence := data_set.get("VOILUTSequence"):
        entries, first, bits = _table(sequence[0], data_set)
        return _looked_up(values, entries, first) / np.float32(2**bits - 1)
    centre, width = _number(data_set, "WindowCenter"), _number(data_set, "WindowWidth")
    if centre is not None and width is not None and width > 0:
        return _windowed(values, centre, width, str(data_set.get("VOILUTFunction") or "LINEAR").upper())
    shown = values if padding is None else values[~padding]
    least, greatest = float(shown.min()), float(shown.max())
    return _fraction((values - least) / max(greatest - least, 1e-6))


def _windowed(values: Values, centre: float, width: float, function: str) -> Values:
    """Apply a window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        exponent = np.clip(-4.0 * (values - centre) / width, -80.0, 80.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)), dtype=np.float32)
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1.0
    if width <= 0.0:
        return (values > centre).astype(np.float32)
    return _fraction((values - centre) / width + 0.5)


def _fraction(values: NDArray[np.floating]) -> Values:
    return np.asarray(np.clip(values, 0.0, 1.0), dtype=np.float32)


def _table(item: Dataset, data_set: Dataset) -> tuple[NDArray[np.float32], int, int]:
    """Return a LUT's entries, the first value that it maps, and the bits of an entry (PS3.3 C.11.1.1)."""
    count, first, bits = (int(each) for each in item.LUTDescriptor)
    count = count or 2**16
    if not 1 <= bits <= 16:
        raise ValueError("a LUT entry has 1 to 16 bits")
    if first > 0x7FFF and data_set.get("PixelRepresentation") == 1 and "ModalityLUTSequence" not in data_set:
        first -= 0x10000  # written as unsigned although the pixels are signed
    data = item.LUTData
    if isinstance(data, bytes):
        packed = bits <= 8 and len(data) < 2 * count
        order = "<" if data_set.original_encoding[1] in (True, None) else ">"
        entries = np.frombuffer(data, dtype=np.uint8 if packed else f"{order}u2")
    else:
        entries = np.asarray(data, dtype=np.uint16)
    if len(entries) < count:
        raise ValueError("a LUT has fewer entries than its descriptor says")
    return entries[:count].astype(np.float32), first, bits


def _looked_up(values: Values, entries: NDArray[np.float32], first: int) -> Values:
    """Map values; those outside the table take its first or last entry."""
    indices = np.clip(np.rint(values).astype(np.int64) - first, 0, len(entries) - 1)
    return entries[indices]


def _number(data_set: Dataset, keyword: str) -> float | None:
    """Return the first value of a decimal attribute; None if it is absent, empty or no number."""
    value = data_set.get(keyword)
    if value is not None and not isinstance(value, str | int | float):
        value = value[0] if len(value) else None
    try:
        number = float(value) if value not in (None, "") else None
    except ValueError:
        return None
    return number if number is not None and np.isfinite(number) else None
