"""Description of a compressed frame by its own markers, before a decoder sees it.

Decoders trust the code stream, not the DICOM header. They allocate the size that the stream states,
and show a truncated stream as grey, without an error. This module reads markers only (ISO/IEC
10918-1 B, 14495-1 C, 15444-1 A; PS3.5 Annex G for RLE) and decodes nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_J2K_START, _J2K_END = b"\xff\x4f\xff\x51", b"\xff\xd9"
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers of JPEG and JPEG-LS (0xF7), without tables and extensions."""
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_RLE_HEADER_BYTES = 64
_RLE_MOST_EXPANSION = 64


@dataclass(frozen=True, slots=True)
class CodeStream:
    """The frame that a code stream contains.

    Attributes:
        rows: number of rows.
        columns: number of columns.
        components: number of components, 1 for grey.
        precision: number of bits of a sample.
        is_signed: whether samples are signed, which only JPEG 2000 can be.
        is_whole: whether the stream ends with its end marker.
    """

    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool
    is_whole: bool


def begins_image(fragment: bytes) -> bool:
    """Return whether a fragment begins a JPEG, JPEG-LS or JPEG 2000 image."""
    return fragment.startswith((b"\xff\xd8\xff", _J2K_START, _JP2_SIGNATURE))


def described(stream: bytes) -> CodeStream:
    """Return the frame that a JPEG, JPEG-LS or JPEG 2000 (also HTJ2K) stream describes.

    Raises:
        ValueError, struct.error: it is not such a stream, or its headers are truncated.
    """
    if stream.startswith(_JPEG_START):
        return _described_jpeg(stream)
    start = stream.find(_J2K_START) if stream.startswith(_JP2_SIGNATURE) else 0
    if start >= 0 and stream.startswith(_J2K_START, start):
        return _described_j2k(stream, start)
    raise ValueError("not a code stream of this transfer syntax")


def check_rle(stream: bytes, samples: int, bytes_per_sample: int) -> None:
    """Check the header of an RLE frame (PS3.5 G.5) and that its segments can hold *samples*.

    Raises:
        ValueError, struct.error: they cannot; the message is the reason.
    """
    count, *offsets = struct.unpack_from("<16L", stream)
    if count != bytes_per_sample:
        raise ValueError(f"it has {count} segments, not one for each of {bytes_per_sample} bytes of a pixel")
    ends = [*offsets[1:count], len(stream)]
    for start, end in zip(offsets[:count], ends, strict=True):
        if not _RLE_HEADER_BYTES <= start <= end <= len(stream):
            raise ValueError("its segment table points outside the frame")
        if (end - start) * _RLE_MOST_EXPANSION < samples:
            raise ValueError("it ends too early")


def _described_jpeg(stream: bytes) -> CodeStream:
    position = 2
    while True:
        while stream[position : position + 2] == b"\xff\xff":  # fill bytes
            position += 1
        prefix, marker = struct.unpack_from(">BB", stream, position)
        if prefix != 0xFF:
            raise ValueError("its markers are invalid")
        position += 2
        if marker in _WITHOUT_LENGTH:
            continue
        if marker in _FRAME_HEADERS:
            precision, rows, columns, components = struct.unpack_from(">2xBHHB", stream, position)
            return CodeStream(rows, columns, components, precision, False, _ends_with(stream, _JPEG_END))
        if marker in {0xD9, 0xDA}:
            raise ValueError("it has no frame header")
        (length,) = struct.unpack_from(">H", stream, position)
        position += max(length, 2)


def _described_j2k(stream: bytes, start: int) -> CodeStream:
    right, lower, left, upper = struct.unpack_from(">4L", stream, start + 8)
    (components,) = struct.unpack_from(">H", stream, start + 40)
    depth, step_x, step_y = struct.unpack_from(">3B", stream, start + 42)
    if not (step_x == step_y == 1 and left < right and upper < lower):
        raise ValueError("it has not one sample per pixel")
    return CodeStream(
        lower - upper,
        right - left,
        components,
        (depth & 0x7F) + 1,
        bool(depth & 0x80),
        _ends_with(stream, _J2K_END),
    )


def _ends_with(stream: bytes, marker: bytes) -> bool:
    """Return whether a stream ends with a marker, apart from padding."""
    return stream.rstrip(b"\0\xff").endswith(marker)
