"""Photometric Interpretation of images with one sample per pixel (PS3.3 C.7.6.3.1.2).

Some systems name a colour space although there is one sample, such as YBR_FULL for the luminance
alone. Such an image is grey, and 0 is black.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from echo_node.dicom.header_values import text

MONOCHROME1, MONOCHROME2 = "MONOCHROME1", "MONOCHROME2"

_MISNAMED = {
    "YBRFULL", "YBRFULL422", "YBRPARTIAL422", "YBRPARTIAL420", "YBRICT", "YBRRCT", "RGB",
    "GREY", "GRAY", "GREYSCALE", "GRAYSCALE",
}  # fmt: skip
"""Interpretations that one sample can only mean as MONOCHROME2, without separators."""


def grey_interpretation(data_set: Dataset) -> str | None:
    """Return MONOCHROME1 or MONOCHROME2 for an image of one sample; None if it is not grey."""
    named = re.sub(r"[\s_\-]", "", text(data_set, "PhotometricInterpretation").upper())
    if named.startswith("MONOCHROME"):
        return MONOCHROME1 if MONOCHROME1 in named else MONOCHROME2
    return MONOCHROME2 if named in _MISNAMED else None
