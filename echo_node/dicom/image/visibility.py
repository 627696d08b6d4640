"""Judgement of a display, and of padding: whether it leaves almost nothing of the image to see.

greyscale.py asks it to choose a display. It judges a sample of the pixels, so that it costs a few
milliseconds on any image.

A display leaves enough if it shows many greys, and not much less of the image than its range of
values would. The comparison spares films that are mostly black border or white lung: there the
range of values shows no more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echo_node.dicom.image.decoding import StoredFrame

_SAMPLED_PIXELS = 1 << 18
_GREYS = 256
_ALMOST_BLACK, _ALMOST_WHITE = 8, 247
"""Grey values below the first and above the second look black and white to a reader."""
_LEAST_LEVELS, _FEWEST_LEVELS = 24, 12
"""Grey values that suffice, and those without which no display is worth a change."""
_LEVEL_PART = 0.001
"""Part of the grey pixels that have a grey value, from which on it counts as shown."""
_LEAST_PART = 0.1
"""Part of the pixels that the range of values shows grey; a display that shows less is useless."""
_BLANK_PART = 0.98
"""Part of the pixels with one grey value, from which on there is nothing to read."""
_OUTLIERS = 0.005

_MOST_PADDING = 1 / 3
"""Part of the pixels up to which padding needs no second look."""
_MOST_ENCLOSED = 0.1
"""Part of the pixels that padding may cover without a way to the border of the image."""


@dataclass(frozen=True, slots=True)
class Visible:
    """Extent of what one display shows.

    Attributes:
        part: part of the pixels that look neither black nor white.
        levels: number of grey values among them.
        is_blank: whether nearly all pixels have one grey value.
    """

    part: float
    levels: int
    is_blank: bool

    def is_enough(self, reference: Visible) -> bool:
        """Return whether enough is left where the range of values shows this."""
        levels = max(_FEWEST_LEVELS, min(_LEAST_LEVELS, reference.levels / 2))
        return self.levels >= levels and self.part >= _LEAST_PART * reference.part


class Sample:
    """Evenly spaced pixels of the part of an image that is shown.

    Args:
        shown: that part.
        padding: mask of the words that are padding.
    """

    def __init__(self, shown: StoredFrame, padding: NDArray[np.bool_]) -> None:
        step = max(1, math.ceil(math.sqrt(shown.words.size / _SAMPLED_PIXELS)))
        self._words = shown.words[::step, ::step]
        counts = np.bincount(self._words.ravel(), minlength=len(padding))
        self._unpadded = np.where(padding, 0, counts)
        self._padded = np.where(padding, counts, 0)
        self._padding = padding

    def seen(self, fractions: NDArray[np.float64]) -> Visible:
        """Return the extent of what a display shows, from its value in 0 to 1 for each word."""
        return _visible(fractions, self._unpadded)

    def is_blank(self, values: NDArray[np.float64] | NDArray[np.int64]) -> bool:
        """Return whether nearly all pixels have one value."""
        occurring = self._unpadded > 0
        _, places = np.unique(values[occurring], return_inverse=True)
        pixels = np.bincount(places, weights=self._unpadded[occurring], minlength=1)
        return bool(pixels.max() >= _BLANK_PART * pixels.sum())

    def is_seen(self, greys: NDArray[np.uint8], part: NDArray[np.bool_]) -> bool:
        """Return whether some of these words are not black."""
        return bool((greys[part & (self._unpadded > 0)] >= _ALMOST_BLACK).any())

    def reference(self, values: NDArray[np.float64]) -> Visible:
        """Return the extent of what the range of values shows, with outliers or without."""
        spans = (self.span(values, outliers) for outliers in (0.0, _OUTLIERS))
        return max((self.seen(stretched(values, *span)) for span in spans), key=lambda each: each.part)

    def span(self, values: NDArray[np.float64], outliers: float = _OUTLIERS) -> tuple[float, float]:
        """Return the range of values without a part of outliers at either end."""
        occurring = np.flatnonzero(self._unpadded)
        if not len(occurring):
            return 0.0, 0.0
        occurring = occurring[np.argsort(values[occurring], kind="stable")]
        below = np.cumsum(self._unpadded[occurring])
        first, last = np.searchsorted(below, (outliers * below[-1], (1 - outliers) * below[-1]))
        return float(values[occurring[first]]), float(values[occurring[last]])

    def is_padding_credible(self, values: NDArray[np.float64]) -> bool:
        """Return whether the padding surrounds the picture, and is not a part of it.

        Padding of up to a third of the pixels is. More must have a straight way to the border of
        the image, and show next to nothing itself.
        """
        padded = int(self._padded.sum())
        if padded <= _MOST_PADDING * self._words.size:
            return True
        if padded == self._words.size:
            return False
        counts = self._padded + self._unpadded
        occurring = values[counts > 0]
        hidden = _visible(stretched(values, float(occurring.min()), float(occurring.max())), self._padded)
        return hidden.levels < _LEAST_LEVELS and self._enclosed() <= _MOST_ENCLOSED

    def _enclosed(self) -> float:
        """Return the part of the pixels that are padding without a straight way to the border."""
        padding = self._padding[self._words]
        reached = np.zeros_like(padding)
        for axis in (0, 1):
            reached |= np.logical_and.accumulate(padding, axis)
            reached |= np.flip(np.logical_and.accumulate(np.flip(padding, axis), axis), axis)
        return float((padding & ~reached).mean())


def stretched(values: NDArray[np.float64], least: float, greatest: float) -> NDArray[np.float64]:
    """Return 0 up to the least value and 1 from the greatest; a range of one value is black."""
    return np.clip((values - least) / max(greatest - least, 1e-6), 0.0, 1.0)


def _visible(fractions: NDArray[np.float64], counts: NDArray[np.int64]) -> Visible:
    greys = np.rint(fractions * (_GREYS - 1)).astype(np.int64)
    pixels = np.bincount(greys, weights=counts, minlength=_GREYS)
    everything = pixels.sum()
    if not everything:
        return Visible(0.0, 0, is_blank=True)
    between = pixels[_ALMOST_BLACK : _ALMOST_WHITE + 1]
    levels = int(np.count_nonzero(between > _LEVEL_PART * between.sum()))
    return Visible(between.sum() / everything, levels, bool(pixels.max() >= _BLANK_PART * everything))
