from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from echo_node.dicom.decoding import StoredFrame
from echo_node.dicom.greyscale import displayed_grey, is_inverted
from echo_node.domain.study import Greyscale

MakeChest = Callable[..., Dataset]


def grey_of(
    stored: NDArray[np.generic], data_set: Dataset, greyscale: Greyscale = Greyscale.WINDOW
) -> NDArray[np.uint8]:
    """Return the grey of values that fill their words."""
    bits = 8 * stored.dtype.itemsize
    words = stored.view(f"u{stored.dtype.itemsize}")
    frame = StoredFrame(words, bits, bits - 1, np.issubdtype(stored.dtype, np.signedinteger))
    return displayed_grey(frame, data_set, greyscale)


def described(**attributes: object) -> Dataset:
    """Return the attributes of a 12-bit image; those given win."""
    data_set = Dataset()
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.BitsStored = 12
    data_set.PixelRepresentation = 0
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return data_set


def lut(entries: list[int], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, bits]
    item.LUTData = np.array(entries, dtype="<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item


RAMP = np.arange(0, 4096, 5, dtype=np.uint16).reshape(1, -1)


@given(
    st.integers(-500, 5000),
    st.integers(2, 6000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    st.sampled_from([(1.0, 0.0), (2.0, -100.0), (0.5, 3.0)]),
)
def test_windows_agree_with_pydicom(
    centre: int, width: int, function: str, rescale: tuple[float, float]
) -> None:
    slope, intercept = rescale
    data_set = described(
        WindowCenter=centre,
        WindowWidth=width,
        VOILUTFunction=function,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
    )
    values = RAMP * slope + intercept
    with np.errstate(over="ignore"):  # pydicom's sigmoid
        expected = apply_windowing(values, data_set)
    least, most = intercept, 4095 * slope + intercept
    wanted = (expected - least) / (most - least) * 255
    assert np.abs(grey_of(RAMP, data_set).astype(float) - wanted).max() <= 1


@given(st.lists(st.integers(0, 4095), min_size=2, max_size=50), st.booleans())
def test_more_signal_is_never_darker_and_inversion_is_exact(values: list[int], inverted: bool) -> None:
    stored = np.array([sorted(values)], dtype=np.uint16)
    window: dict[str, object] = {"WindowCenter": 2000, "WindowWidth": 3000}
    plain = grey_of(stored, described(**window)).astype(int)
    assert (np.diff(plain[0]) >= 0).all()
    if inverted:
        turned = grey_of(stored, described(PhotometricInterpretation="MONOCHROME1", **window))
        assert np.abs(plain + turned.astype(int) - 255).max() <= 1


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "", False),
        ("MONOCHROME1", "", True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_inverted_once_never_twice(photometric: str, shape: str, inverted: bool) -> None:
    data_set = described(PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    assert is_inverted(data_set) is inverted
    grey = grey_of(np.array([[0, 100]], dtype=np.uint16), data_set)
    assert grey.tolist() == ([[255, 0]] if inverted else [[0, 255]])


def test_without_a_window_the_range_of_the_image_is_shown() -> None:
    assert grey_of(np.array([[100, 150, 200]], dtype=np.uint16), described()).tolist() == [[0, 128, 255]]


def test_a_flat_image_is_no_division_by_zero() -> None:
    assert grey_of(np.full((2, 2), 7, dtype=np.uint16), described()).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count(photometric: str) -> None:
    stored = np.array([[0, 3, 100, 200, 4000]], dtype=np.uint16)
    data_set = described(
        PhotometricInterpretation=photometric, PixelPaddingValue=4095, PixelPaddingRangeLimit=4000
    )
    grey = grey_of(stored, data_set)[0].tolist()
    assert grey[4] == 0
    assert grey[0] == (255 if photometric == "MONOCHROME1" else 0)
    assert grey[3] == (0 if photometric == "MONOCHROME1" else 255)


def test_padding_that_covers_everything_is_ignored() -> None:
    data_set = described(PixelPaddingValue=0, PixelPaddingRangeLimit=4095)
    assert grey_of(np.array([[0, 4000]], dtype=np.uint16), data_set).tolist() == [[0, 255]]


def test_the_voi_lut_sequence_wins_over_the_window() -> None:
    data_set = described(WindowCenter=1, WindowWidth=2, VOILUTSequence=[lut([0, 255, 128], 10, 8)])
    assert grey_of(np.array([[9, 10, 11, 12, 13]], dtype=np.uint16), data_set).tolist() == [
        [0, 0, 255, 128, 128]
    ]


def test_an_8_bit_lut_may_have_more_than_256_entries() -> None:
    """pydicom's apply_voi wraps the indices of such a table."""
    data_set = described(VOILUTSequence=[lut([min(i // 16, 255) for i in range(4096)], 0, 8)])
    stored = np.array([[0, 255, 256, 2048, 4095]], dtype=np.uint16)
    assert grey_of(stored, data_set).tolist() == [[0, 15, 16, 128, 255]]


def test_a_packed_8_bit_lut() -> None:
    item = lut([0], 0, 8)
    item.LUTDescriptor = [4, 0, 8]
    item.LUTData = bytes([0, 10, 20, 255])
    assert grey_of(np.array([[0, 1, 2, 3]], dtype=np.uint16), described(VOILUTSequence=[item])).tolist() == [
        [0, 10, 20, 255]
    ]


def test_the_modality_lut_comes_before_the_window() -> None:
    data_set = described(
        ModalityLUTSequence=[lut([1000, 0, 500], 0, 16)], WindowCenter=500.5, WindowWidth=1001
    )
    assert grey_of(np.array([[0, 1, 2]], dtype=np.uint16), data_set).tolist() == [[255, 0, 128]]


def test_signed_values_with_a_lut_that_begins_below_zero() -> None:
    data_set = described(PixelRepresentation=1, VOILUTSequence=[lut([0, 100, 200], 65534, 8)])
    assert grey_of(np.array([[-3, -2, -1, 0]], dtype=np.int16), data_set).tolist() == [[0, 0, 100, 200]]


def test_the_first_of_several_windows_is_used() -> None:
    data_set = described(WindowCenter=[50, 5000], WindowWidth=[100, 1], VOILUTFunction="LINEAR_EXACT")
    assert grey_of(np.array([[0, 50, 100]], dtype=np.uint16), data_set).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(
    "window", [{}, {"WindowCenter": None, "WindowWidth": None}, {"WindowCenter": 5, "WindowWidth": 0}]
)
def test_a_useless_window_is_ignored(window: dict[str, object]) -> None:
    assert grey_of(np.array([[0, 9]], dtype=np.uint16), described(**window)).tolist() == [[0, 255]]


def test_a_window_of_width_one_is_a_threshold() -> None:
    data_set = described(WindowCenter=5, WindowWidth=1)
    assert grey_of(np.array([[4, 5]], dtype=np.uint16), data_set).tolist() == [[0, 255]]


def test_a_lut_that_is_too_short_is_an_error() -> None:
    item = lut([1, 2], 0, 16)
    item.LUTDescriptor = [5, 0, 16]
    with pytest.raises(ValueError, match="fewer entries"):
        grey_of(np.array([[0]], dtype=np.uint16), described(VOILUTSequence=[item]))
