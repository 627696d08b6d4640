"""Pixel data to stored values: exact in every syntax and bit layout, bounded, clear refusals."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from support.radiographs import PLAIN, radiograph, ramp, write

from echo_node.dicom import header
from echo_node.dicom.image.decoding import decoded
from echo_node.dicom.instance_file import instance_from_file
from echo_node.errors import PermanentError

Sample = Callable[[str], Path]

LAYOUTS = st.integers(1, 16).flatmap(
    lambda stored: st.sampled_from([8, 16] if stored <= 8 else [16]).flatmap(
        lambda allocated: st.tuples(
            st.just(stored), st.just(allocated), st.integers(stored - 1, allocated - 1)
        )
    )
)


def reread(image: Dataset) -> Dataset:
    file = io.BytesIO()
    image.save_as(file, enforce_file_format=True)
    return dcmread(io.BytesIO(file.getvalue()))


def encapsulated(stream: bytes) -> bytes:
    """Return a frame of one fragment, of any length and content (PS3.5 A.4)."""
    fragment = stream + b"\0" * (len(stream) % 2)
    item = b"\xfe\xff\x00\xe0"
    return (
        item
        + bytes(4)
        + item
        + len(fragment).to_bytes(4, "little")
        + fragment
        + b"\xfe\xff\xdd\xe0"
        + bytes(4)
    )


def compressed(image: Dataset, syntax: UID, stream: bytes) -> Dataset:
    image.file_meta.TransferSyntaxUID = syntax
    image.PixelData = encapsulated(stream)
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    return reread(image)


@settings(max_examples=60, deadline=None)
@given(LAYOUTS, st.booleans(), st.integers(0, 2**32), st.booleans(), st.sampled_from(["<", ">"]))
def test_any_legal_layout_of_bits_is_read_back(
    layout: tuple[int, int, int], is_signed: bool, seed: int, dirty: bool, order: str
) -> None:
    stored, allocated, high_bit = layout
    randomness = np.random.default_rng(seed)
    least = -(1 << (stored - 1)) if is_signed else 0
    values = randomness.integers(least, least + (1 << stored), (17, 19))
    image = radiograph(values, layout, is_signed=is_signed)
    if dirty:  # overlays were kept in the unused bits once
        words = np.frombuffer(image.PixelData[: 17 * 19 * allocated // 8], f"<u{allocated // 8}").copy()
        used = ((1 << stored) - 1) << (high_bit + 1 - stored)
        words |= randomness.integers(0, 1 << allocated, words.shape).astype(words.dtype) & ~words.dtype.type(
            used
        )
        image.PixelData = words.tobytes() + b"\0" * (words.nbytes % 2)
    if order == ">":
        image.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        if allocated == 16:
            image.PixelData = np.frombuffer(image.PixelData, "<u2").byteswap().tobytes()
    frame = decoded(reread(image))
    assert (frame.values[frame.words] == values).all()
    assert (frame.counts().sum(), len(frame.counts())) == (17 * 19, 1 << allocated)


@pytest.mark.parametrize("columns", [20, 21])
def test_bytes_in_big_endian_words_are_unswapped(columns: int) -> None:
    values = np.arange(17 * columns).reshape(17, columns) % 251
    image = radiograph(values, (8, 8, 7))
    image.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    image["PixelData"].VR = "OW"
    image.PixelData = np.frombuffer(image.PixelData, "<u2").byteswap().tobytes()
    frame = decoded(reread(image))
    assert (frame.values[frame.words] == values).all()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_uncompressed_pixels_are_a_view(syntax: UID) -> None:
    image = radiograph(ramp(*PLAIN))
    image.file_meta.TransferSyntaxUID = syntax
    assert not decoded(reread(image)).words.flags.owndata


@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def test_lossless_syntaxes_lose_nothing(syntax: UID, bits: int, is_signed: bool) -> None:
    layout = (bits, 8 if bits == 8 else 16, bits - 1)
    least = -(1 << (bits - 1)) if is_signed else 0
    values = np.random.default_rng(bits).integers(least, least + (1 << bits), (40, 33))
    image = reread(radiograph(values, layout, is_signed=is_signed))
    image.compress(syntax, generate_instance_uid=False)
    frame = decoded(reread(image))
    assert (frame.values[frame.words] == values).all()


@pytest.mark.parametrize("stream_is_signed", [False, True])
@pytest.mark.parametrize("header_is_signed", [False, True])
def test_the_header_says_how_the_bits_of_jpeg_2000_are_read(
    stream_is_signed: bool, header_is_signed: bool
) -> None:
    bits = np.random.default_rng(1).integers(0, 1 << 12, (40, 33))
    as_signed = bits - ((bits >> 11) << 12)
    held = as_signed.astype(np.int16) if stream_is_signed else bits.astype(np.uint16)
    stream = bytes(encode_array(held, bits_stored=12))
    image = radiograph(bits, PLAIN, is_signed=header_is_signed)
    frame = decoded(compressed(image, JPEG2000Lossless, stream))
    assert (frame.values[frame.words] == (as_signed if header_is_signed else bits)).all()


def test_a_code_stream_has_its_own_precision() -> None:
    """Headers that say 16 bits of a 10-bit stream are common."""
    values = np.random.default_rng(1).integers(0, 1 << 10, (40, 33))
    stream = bytes(encode_array(values.astype(np.uint16), bits_stored=10))
    frame = decoded(compressed(radiograph(values, (16, 16, 15)), JPEG2000, stream))
    assert (frame.bits, frame.high_bit) == (10, 9)
    assert (frame.values[frame.words] == values).all()


def test_gdcm_decodes_jpeg_2000_to_the_same_values(sample: Sample) -> None:
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(sample("RG1_J2KI")))
    assert reader.Read()
    buffer = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    frame = decoded(dcmread(sample("RG1_J2KI")))
    assert (frame.words.ravel() == np.frombuffer(buffer, "<u2")).all()


@pytest.mark.parametrize("name", ["image_dfl", "JPEG-LL", "MR_small_bigendian", "MR2_J2KI", "RG3_UNCI"])
def test_real_files_are_what_pydicom_makes_of_them(sample: Sample, name: str) -> None:
    data_set = dcmread(sample(name))
    frame = decoded(data_set)
    assert (frame.values[frame.words] == data_set.pixel_array).all()


def test_a_12_bit_jpeg_which_pydicom_declines(sample: Sample) -> None:
    frame = decoded(dcmread(sample("JPGExtended")))
    assert (frame.words.shape, frame.bits, int(frame.words.max())) == ((1024, 256), 12, 264)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Rows": 60000, "Columns": 60000}, "60000 by 60000 pixels, is not that of a radiograph"),
        ({"Rows": 4, "Columns": 1024}, "1024 by 4 pixels, is not"),
        ({"BitsStored": None}, "lacks attributes"),
        ({"PhotometricInterpretation": None}, "lacks attributes"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "not an 8 or 16 bit greyscale"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "not an 8 or 16 bit greyscale"),
        ({"BitsAllocated": 32}, "not an 8 or 16 bit greyscale"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "not an 8 or 16 bit greyscale"),
        ({"BitsStored": 17}, "contradicts itself: 17 bits up to bit 11 of 16"),
        ({"HighBit": 16}, "contradicts itself: 12 bits up to bit 16 of 16"),
        ({"HighBit": 10}, "contradicts itself: 12 bits up to bit 10 of 16"),
        ({"NumberOfFrames": 3}, "has 3 frames, not one"),
        ({"Rows": 65}, "truncated: 8192 of 8320 bytes"),
        ({"Rows": 62}, "longer than its header states: 8192 bytes, not 7936"),
        ({"PixelData": None}, "no pixel data"),
        ({"PixelData": b""}, "truncated: 0 of 8192 bytes"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_each_refusal_names_what_is_wrong(attributes: dict[str, object], reason: str) -> None:
    image = radiograph(ramp(*PLAIN), PLAIN, is_signed=False, **attributes)
    with pytest.raises(PermanentError, match=reason) as refusal:
        decoded(reread(image))
    assert "Doe" not in str(refusal.value)


def test_up_to_a_row_of_padding_is_forgiven() -> None:
    image = radiograph(ramp(*PLAIN))
    image.PixelData += bytes(128)
    assert decoded(reread(image)).words.shape == (64, 64)


@pytest.mark.parametrize("syntax", ["1.2.3.4", JPEG2000Lossless.replace(".90", ".999"), "1.2.840.10008.1.1"])
def test_a_syntax_that_nobody_knows_is_named(syntax: str) -> None:
    image = reread(radiograph(ramp(*PLAIN)))
    image.file_meta.TransferSyntaxUID = UID(syntax)
    with pytest.raises(PermanentError, match=r"not one of the Standard|no decoder"):
        decoded(image)


def test_a_syntax_of_the_standard_without_a_decoder_is_named() -> None:
    image = compressed(radiograph(ramp(*PLAIN)), UID("1.2.840.10008.1.2.4.110"), b"\x0a\xff")
    with pytest.raises(PermanentError, match="no decoder for JPEG XL"):
        decoded(image)


def stream_of(shape: tuple[int, int], bits: int = 12) -> bytes:
    return bytes(encode_array(np.zeros(shape, dtype=np.uint16), bits_stored=bits))


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (stream_of((64, 80)), "compressed image is 80 by 64 pixels, its header states 64 by 64"),
        (stream_of((64, 64))[:-2], "truncated"),
        (stream_of((64, 64)) + b"something else", "followed by other bytes"),
        (stream_of((64, 64))[:60], "cannot be decoded|truncated"),
        (b"\xff\xd8\xff\xe0", "cannot be decoded"),
        (b"no image at all", "not a code stream of this transfer syntax"),
        (b"", "cannot be decoded"),
    ],
    ids=str,
)
def test_a_code_stream_that_is_not_what_its_header_says(stream: bytes, reason: str) -> None:
    with pytest.raises(PermanentError, match=reason):
        decoded(compressed(radiograph(ramp(*PLAIN)), JPEG2000Lossless, stream))


def test_two_images_in_one_frame_are_refused() -> None:
    image = radiograph(ramp(*PLAIN))
    image.file_meta.TransferSyntaxUID = JPEG2000Lossless
    image.PixelData = encapsulate([stream_of((64, 64))] * 2)
    image["PixelData"].is_undefined_length = True
    with pytest.raises(PermanentError, match="more than the one image"):
        decoded(reread(image))


def test_colour_in_a_grey_header_is_refused() -> None:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "JPEG")
    image = compressed(radiograph(ramp(*PLAIN) % 256, (8, 8, 7)), JPEGBaseline8Bit, stream.getvalue())
    with pytest.raises(PermanentError, match="3 components of 8 bits"):
        decoded(image)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1, JPEGLSLossless, HTJ2KLossless, JPEG2000])
@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_in_any_syntax_are_refused_in_words(syntax: UID, stream: bytes) -> None:
    with pytest.raises(PermanentError, match=r"\w+ \w+"):
        decoded(compressed(radiograph(ramp(*PLAIN)), syntax, stream))


class TestBombs:
    """A file that would need a thousand times its size is refused before memory is allocated."""

    @pytest.fixture(autouse=True)
    def _is_bounded(self) -> Iterator[None]:
        tracemalloc.start()
        yield
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 24 * 2**20

    def test_a_small_header_over_a_huge_code_stream(self) -> None:
        stream = bytearray(stream_of((64, 64)))
        stream[8:16] = (50_000).to_bytes(4) * 2  # Xsiz and Ysiz
        stream[24:32] = (50_000).to_bytes(4) * 2  # one tile
        with pytest.raises(PermanentError, match="compressed image is 50000 by 50000 pixels"):
            decoded(compressed(radiograph(ramp(*PLAIN)), JPEG2000Lossless, bytes(stream)))

    def test_a_huge_header_over_a_small_code_stream(self) -> None:
        image = radiograph(ramp(*PLAIN), Rows=60_000, Columns=60_000)
        with pytest.raises(PermanentError, match="not that of a radiograph"):
            decoded(compressed(image, JPEG2000Lossless, stream_of((64, 64))))

    def test_rle_that_cannot_hold_what_the_header_says(self) -> None:
        image = radiograph(ramp(*PLAIN), Rows=8000, Columns=8000)
        small = reread(radiograph(ramp(*PLAIN)))
        small.compress(RLELossless, generate_instance_uid=False)
        image.file_meta.TransferSyntaxUID = RLELossless
        image.PixelData = small.PixelData
        image["PixelData"].is_undefined_length = True
        with pytest.raises(PermanentError, match=r"RLE Lossless.*ends too early"):
            decoded(reread(image))

    def test_a_deflated_file_that_inflates_to_more_than_a_radiograph(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(header, "MAXIMUM_FILE_BYTES", 2**20)
        image = radiograph(np.zeros((64, 64), dtype=np.int64), PixelAspectRatio=None)
        image.add_new(0x00420011, "OB", bytes(4 * 2**20))
        image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        file = write(tmp_path / "bomb.dcm", image)
        assert file.stat().st_size < 20_000
        for read in (header.read_header, header.read_whole, instance_from_file):
            with pytest.raises(PermanentError, match="becomes larger than 1 MB"):
                read(file)

    def test_a_file_larger_than_a_radiograph(self, tmp_path: Path) -> None:
        with (tmp_path / "sparse.dcm").open("wb") as file:
            file.truncate(header.MAXIMUM_FILE_BYTES + 1)
        for read in (header.read_whole, instance_from_file):
            with pytest.raises(PermanentError, match="larger than 256 MB"):
                read(tmp_path / "sparse.dcm")
