"""Pixel data to stored values: every transfer syntax, in memory bounded by the checked header.

It is the first step of pixels.py. Before decoding, the sizes in the header are compared with limits
and with those in the code stream. Each error names the fault. For grey values, see greyscale.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments, parse_basic_offsets
from pydicom.pixels.common import Buffer
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, RLELossless

from echo_node.dicom.header_values import PARSE_ERRORS, text, whole_number
from echo_node.dicom.image.codestream import CodeStream, begins_image, check_rle, described
from echo_node.dicom.image.photometric import grey_interpretation
from echo_node.errors import PermanentError

MAXIMUM_PIXELS = 64 * 1024 * 1024
"""Over four times the largest detector; a header that states more is a decompression bomb."""

_LEAST_SIDE = 16
_PLUG_INS = ("pylibjpeg", "pyjpegls", "gdcm", "pillow", "pydicom")
"""Decoders in order of preference: pylibjpeg has the newest OpenJPEG."""
_SEQUENTIAL_JPEG = {JPEGBaseline8Bit, JPEGExtended12Bit}
_LAYOUT = ("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
_BAND_PIXELS = 1 << 18
"""Size of a band. NumPy makes 64-bit indices for a look-up: in bands they need only 2 MB."""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One decoded frame, and the position of the stored values in its words (PS3.5 8.1.1).

    Attributes:
        words: (H, W) of 8 or 16 bit unsigned words; bits outside the value are undefined.
        bits: number of bits of a value.
        high_bit: most significant bit of the value in the word.
        is_signed: whether that bit is the sign.
    """

    words: NDArray[np.unsignedinteger]
    bits: int
    high_bit: int
    is_signed: bool

    @property
    def values(self) -> NDArray[np.int64]:
        """Stored value of every possible word, in the order of words."""
        words = np.arange(1 << (8 * self.words.dtype.itemsize), dtype=np.int64)
        values = (words >> (self.high_bit + 1 - self.bits)) & ((1 << self.bits) - 1)
        return values - ((values >> (self.bits - 1)) << self.bits) if self.is_signed else values

    def counts(self) -> NDArray[np.int64]:
        """Return the number of occurrences of each word."""
        size = 1 << (8 * self.words.dtype.itemsize)
        counts = np.zeros(size, dtype=np.int64)
        for first, last in self._bands():
            counts += np.bincount(self.words[first:last].ravel(), minlength=size)
        return counts

    def looked_up(self, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (H, W) with the table's entry for each word."""
        shown = np.empty(self.words.shape, dtype=np.uint8)
        for first, last in self._bands():
            shown[first:last] = table[self.words[first:last]]
        return shown

    def _bands(self) -> Iterator[tuple[int, int]]:
        height, width = self.words.shape
        step = max(1, _BAND_PIXELS // width)
        return ((row, min(row + step, height)) for row in range(0, height, step))


@dataclass(frozen=True, slots=True)
class _Layout:
    """Layout of the frame by the Image Pixel module (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    allocated: int
    stored: int
    high_bit: int
    is_signed: bool

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.allocated // 8


def decoded(data_set: Dataset) -> StoredFrame:
    """Return the one frame of a greyscale image.

    Raises:
        PermanentError: it cannot be decoded, or is not such a frame; the message is the reason.
    """
    if "PixelData" not in data_set:
        raise PermanentError("the image has no pixel data")
    layout = _layout(data_set)
    syntax = UID(data_set.file_meta.TransferSyntaxUID)
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise PermanentError("the transfer syntax is not one of the Standard; send the image uncompressed")
    if syntax.is_encapsulated:
        return _compressed(data_set, layout, syntax)
    return _native(data_set, layout, syntax)


def _layout(data_set: Dataset) -> _Layout:
    """Read and check the header before memory of its size is allocated."""
    stated = [whole_number(data_set, each) for each in _LAYOUT]
    known = [each for each in stated if each is not None]
    photometric = text(data_set, "PhotometricInterpretation")
    if len(known) < len(stated) or not photometric or not text(data_set.file_meta, "TransferSyntaxUID"):
        raise PermanentError("the image lacks attributes that describe its pixels")
    samples, rows, columns, allocated, stored, representation = known
    high_bit = whole_number(data_set, "HighBit")
    high_bit = stored - 1 if high_bit is None else high_bit
    frames = whole_number(data_set, "NumberOfFrames") or 1
    if samples != 1 or allocated not in {8, 16} or grey_interpretation(data_set) is None:
        raise PermanentError("the image is not an 8 or 16 bit greyscale image")
    if frames > 1:
        raise PermanentError(f"the image has {frames} frames, not one")
    if not stored <= high_bit + 1 <= allocated or stored < 1:
        raise PermanentError(
            f"the header contradicts itself: {stored} bits up to bit {high_bit} of {allocated} allocated"
        )
    if min(rows, columns) < _LEAST_SIDE or rows * columns > MAXIMUM_PIXELS:
        raise PermanentError(f"the image's size, {columns} by {rows} pixels, is not that of a radiograph")
    return _Layout(rows, columns, allocated, stored, high_bit, representation != 0)


def _native(data_set: Dataset, layout: _Layout, syntax: UID) -> StoredFrame:
    """Return a view of uncompressed pixel data (PS3.5 8.1.1, 8.2, D)."""
    pixel_data = data_set["PixelData"]
    held: bytes = pixel_data.value or b""
    if len(held) < layout.frame_bytes:
        raise PermanentError(
            f"the pixel data is truncated: {len(held)} of {layout.frame_bytes} bytes; send the image again"
        )
    if len(held) - layout.frame_bytes > layout.columns * layout.allocated // 8:  # up to a row is padding
        raise PermanentError(
            f"the pixel data is longer than its header states: {len(held)} bytes, not {layout.frame_bytes}"
        )
    pixels = layout.rows * layout.columns
    if layout.allocated == 16:
        words = np.frombuffer(held, "<u2" if syntax.is_little_endian else ">u2", pixels)
    elif syntax.is_little_endian or pixel_data.VR != "OW":
        words = np.frombuffer(held, np.uint8, pixels)
    else:  # two bytes to a big-endian word
        words = np.frombuffer(held, ">u2", (pixels + 1) // 2).astype("<u2").view(np.uint8)[:pixels]
    return _frame(words, layout)


def _compressed(data_set: Dataset, layout: _Layout, syntax: UID) -> StoredFrame:
    """Decode the one frame of encapsulated pixel data (PS3.5 A.4)."""
    try:
        stream = _stream(data_set)
        decoder = get_decoder(syntax)
        if syntax == RLELossless:
            try:
                check_rle(stream, layout.rows * layout.columns, layout.allocated // 8)
            except PARSE_ERRORS as error:
                raise _unusable(syntax, error) from error
            return _frame(_decoded_words(stream, decoder, layout, None), layout)
        said = _checked(stream, layout, syntax)
        words = _decoded_words(stream, decoder, layout, said)
    except PermanentError:
        raise
    except NotImplementedError as error:
        raise PermanentError(f"there is no decoder for {syntax.name}; send the image uncompressed") from error
    except (*PARSE_ERRORS, RuntimeError, MemoryError, OSError) as error:
        raise _unusable(syntax) from error
    return _frame(words, layout, None if said.precision == layout.allocated else said.precision)


def _stream(data_set: Dataset) -> bytes:
    """Return the code stream with its fragments joined; offset tables are not trusted."""
    buffer = BytesIO(data_set.PixelData)
    parse_basic_offsets(buffer)
    first, *rest = generate_fragments(buffer)
    if any(begins_image(fragment) for fragment in rest):
        raise PermanentError(
            "the compressed pixel data contains more than the one image that its header states"
        )
    return b"".join((first, *rest)) if rest else first


def _checked(stream: bytes, layout: _Layout, syntax: UID) -> CodeStream:
    """Return the frame that the code stream describes, if it agrees with the header.

    Raises:
        PermanentError: it does not.
    """
    try:
        said = described(stream)
    except PARSE_ERRORS as error:
        raise _unusable(syntax, error) from error
    if (said.rows, said.columns) != (layout.rows, layout.columns):
        raise PermanentError(
            f"the compressed image is {said.columns} by {said.rows} pixels, "
            f"its header states {layout.columns} by {layout.rows}"
        )
    if said.components != 1 or said.precision > layout.allocated:
        raise PermanentError(
            f"the compressed image has {said.components} components of {said.precision} bits, "
            f"its header states 1 of {layout.stored}"
        )
    if not said.is_whole:
        raise PermanentError("the compressed image is truncated, or followed by other bytes; send it again")
    return said


def _unusable(syntax: UID, error: Exception | None = None) -> PermanentError:
    reason = f": {error}" if type(error) is ValueError else ""
    return PermanentError(
        f"the pixel data cannot be decoded ({syntax.name}){reason}; send the image again, or uncompressed"
    )


def _decoded_words(
    stream: bytes, decoder: Decoder, layout: _Layout, said: CodeStream | None
) -> NDArray[np.unsignedinteger]:
    """Return the words of the frame from the first decoder that accepts it.

    Raises:
        RuntimeError: no decoder accepts it.
        ValueError: the frame has the wrong size.
    """
    if said is None:
        bits, allocated, is_signed = layout.stored, layout.allocated, layout.is_signed
    else:
        bits, allocated, is_signed = said.precision, 8 if said.precision <= 8 else 16, said.is_signed
    if decoder.UID in _SEQUENTIAL_JPEG and bits > 8:
        held: Buffer = _decoded_by_gdcm(stream, layout)
    else:
        held = _decoded_by_plug_ins(
            encapsulate([stream], has_bot=False),
            decoder,
            rows=layout.rows,
            columns=layout.columns,
            samples_per_pixel=1,
            number_of_frames=1,
            photometric_interpretation="MONOCHROME2",
            bits_allocated=allocated,
            bits_stored=bits,
            pixel_representation=int(is_signed),
        )
    if len(held) != layout.rows * layout.columns * allocated // 8:
        raise ValueError("the decoded frame is of another size")
    return np.frombuffer(held, np.uint8 if allocated == 8 else "<u2")


def _decoded_by_plug_ins(frame: bytes, decoder: Decoder, **options: Any) -> Buffer:
    declined: Exception | None = None
    for plug_in in _PLUG_INS:
        if plug_in in decoder.available_plugins:
            try:
                return decoder.as_buffer(frame, index=0, decoding_plugin=plug_in, **options)[0]
            except (RuntimeError, *PARSE_ERRORS) as error:  # another may not decline this stream
                declined = error
    raise declined or NotImplementedError


def _decoded_by_gdcm(stream: bytes, layout: _Layout) -> bytes:
    """Decode 12-bit JPEG by GDCM, which supports it although pydicom's plug-in does not."""
    import gdcm

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    pixel_data = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    pixel_data.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((layout.columns, layout.rows, 1))
    image.SetDataElement(pixel_data)
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    )
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
    # SWIG hands out bytes as a string with surrogates.
    held: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")
    return held


def _frame(words: NDArray[np.unsignedinteger], layout: _Layout, precision: int | None = None) -> StoredFrame:
    """Shape the words. With a precision of their own, values are in the lowest bits."""
    shaped = words.reshape(layout.rows, layout.columns)
    if precision is None:
        return StoredFrame(shaped, layout.stored, layout.high_bit, layout.is_signed)
    return StoredFrame(shaped, precision, precision - 1, layout.is_signed)
