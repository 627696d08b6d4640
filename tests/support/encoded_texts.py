"""DICOM files whose texts are given as bytes, whatever character set they state."""

from __future__ import annotations

import io
import struct

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

_LENGTH_OF_PREAMBLE, _LENGTH_OF_GROUP_LENGTH = 132, 12
_LONG = frozenset(b"OB OW OF OD OL OV SQ UN UC UR UT".split())


def encoded(data_set: Dataset, **values: bytes | None) -> bytes:
    """Return a data set as a file, Explicit VR Little Endian, with encoded values put in.

    Attributes that are None are removed. pydicom would encode the values again.
    """
    file = io.BytesIO()
    data_set.save_as(file, enforce_file_format=True, implicit_vr=False, little_endian=True)
    content = file.getvalue()
    (length,) = struct.unpack_from("<L", content, _LENGTH_OF_PREAMBLE + 8)
    start = _LENGTH_OF_PREAMBLE + _LENGTH_OF_GROUP_LENGTH + length
    elements = _elements(content, start)
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword) or 0
        elements.pop(tag, None)
        if value is not None:
            elements[tag] = _element(tag, value + b" " * (len(value) % 2))
    return content[:start] + b"".join(elements[tag] for tag in sorted(elements))


def _elements(content: bytes, position: int) -> dict[int, bytes]:
    """Return the encoded elements of a data set by their tags."""
    found = {}
    while position < len(content):
        group, element, vr = struct.unpack_from("<HH2s", content, position)
        header, layout = (12, "<8xL") if vr in _LONG else (8, "<6xH")
        (length,) = struct.unpack_from(layout, content, position)
        found[group << 16 | element] = content[position : position + header + length]
        position += header + length
    return found


def _element(tag: int, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, dictionary_VR(tag).encode(), len(value)) + value
