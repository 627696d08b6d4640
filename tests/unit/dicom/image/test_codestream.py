"""Headers of code streams: of real ones made by the encoders, and of broken ones."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openjpeg.utils import encode_array
from PIL import Image

from echo_node.dicom.image.codestream import CodeStream, begins_image, check_rle, described

GREY = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)


def jpeg(mode: str = "L") -> bytes:
    import io

    stream = io.BytesIO()
    Image.new(mode, (64, 48), 7).save(stream, "JPEG", comment=b"a comment")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("pixels", "precision", "is_signed"),
    [(GREY, 12, False), (GREY.astype(np.int16), 13, True), ((GREY % 256).astype(np.uint8), 8, False)],
)
def test_of_jpeg_2000(pixels: np.ndarray, precision: int, is_signed: bool) -> None:
    stream = bytes(encode_array(pixels, bits_stored=precision))
    assert described(stream) == CodeStream(48, 64, 1, precision, is_signed, is_whole=True)
    assert begins_image(stream)


def test_of_jpeg() -> None:
    assert described(jpeg()) == CodeStream(48, 64, 1, 8, is_signed=False, is_whole=True)
    assert described(jpeg("RGB")).components == 3


@pytest.mark.parametrize("stream", [jpeg(), bytes(encode_array(GREY, bits_stored=12))], ids=["JPEG", "J2K"])
def test_whole_or_not(stream: bytes) -> None:
    assert described(stream + b"\0\0\0").is_whole
    assert not described(stream[:-2]).is_whole
    assert not described(stream + b"more").is_whole


@pytest.mark.parametrize(
    "stream",
    [b"", b"\xff", b"\xff\xd8", b"no image", jpeg()[:100], b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xda\0\x08"],
)
def test_a_stream_without_a_frame_header_is_an_error(stream: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        described(stream)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\xff\x4f\xff\x51"]))
def test_any_bytes_are_described_or_an_error(tail: bytes, start: bytes) -> None:
    try:
        described(start + tail)
    except (ValueError, struct.error):
        return


def rle(segments: list[bytes], count: int | None = None) -> bytes:
    offsets = [64 + sum(map(len, segments[:index])) for index in range(len(segments))]
    table = [len(segments) if count is None else count, *offsets] + [0] * (15 - len(segments))
    return struct.pack("<16L", *table) + b"".join(segments)


def test_an_rle_frame_has_a_segment_for_each_byte_of_a_pixel() -> None:
    check_rle(rle([b"\x81\0" * 8, b"\x81\0" * 8]), 1024, 2)
    with pytest.raises(ValueError, match="1 segments, not one for each of 2 bytes"):
        check_rle(rle([b"\x81\0" * 8]), 1024, 2)
    with pytest.raises(ValueError, match="ends too early"):
        check_rle(rle([b"\x81\0" * 8, b"\x81\0"]), 1024, 2)
    with pytest.raises(ValueError, match="points outside"):
        check_rle(rle([b"\x81\0" * 8, b"\x81\0" * 8])[:70], 1024, 2)
    with pytest.raises(struct.error):
        check_rle(b"\x02\0", 1024, 2)
