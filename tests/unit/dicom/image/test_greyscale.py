from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from echo_node.dicom.image.decoding import StoredFrame
from echo_node.dicom.image.greyscale import displayed_grey, is_inverted, windowed
from echo_node.domain.studies.study import Greyscale

MakeChest = Callable[..., Dataset]


def grey_of(
    stored: NDArray[np.generic], data_set: Dataset, greyscale: Greyscale = Greyscale.WINDOW
) -> NDArray[np.uint8]:
    """Return the grey of values that fill their words."""
    bits = 8 * stored.dtype.itemsize
    words = stored.view(f"u{stored.dtype.itemsize}")
    frame = StoredFrame(words, bits, bits - 1, np.issubdtype(stored.dtype, np.signedinteger))
    return displayed_grey(frame, data_set, greyscale).grey


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
    assert np.abs(windowed(values.astype(np.float64), centre, width, function) * 255 - wanted).max() <= 1
    shown = displayed_grey(StoredFrame(RAMP, 16, 15, is_signed=False), data_set)
    if not shown.remarks:
        assert np.abs(shown.grey.astype(float) - wanted).max() <= 1


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


WINDOWS = st.fixed_dictionaries(
    {
        "WindowCenter": st.floats(-5000, 5000),
        "WindowWidth": st.floats(1, 9000),
        "VOILUTFunction": st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", "", "NONSENSE"]),
        "RescaleSlope": st.floats(0.01, 20),
        "RescaleIntercept": st.floats(-3000, 3000),
    }
).map(lambda numbers: {k: v if isinstance(v, str) else f"{v:.8f}" for k, v in numbers.items()})


def anything(seed: int, kind: type[np.integer]) -> NDArray[np.integer]:
    """Return values over the whole range of an integer type."""
    span = np.iinfo(kind)
    return np.random.default_rng(seed).integers(span.min, span.max, (4, 50), dtype=kind, endpoint=True)


STORED = st.builds(anything, st.integers(1, 200), st.sampled_from([np.int16, np.uint16, np.uint8, np.int8]))
thorough = settings(max_examples=60, deadline=None)


@thorough
@given(STORED, WINDOWS)
def test_every_window_is_monotone(stored: NDArray[np.generic], window: dict[str, object]) -> None:
    grey = grey_of(stored, described(**window)).astype(int)
    order = np.argsort(stored, axis=None)
    assert (np.diff(grey.ravel()[order]) >= 0).all()


@thorough
@given(
    STORED,
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=4, max_size=4),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_any_numbers_give_grey_values_or_a_value_error(
    stored: NDArray[np.generic], numbers: list[float], function: str
) -> None:
    keywords = ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept")
    data_set = described(VOILUTFunction=function)
    for keyword, number in zip(keywords, numbers, strict=True):
        data_set.add_new(keyword, "FD", number)  # of a decimal string, there is no end of forms
    with suppress(ValueError):
        assert grey_of(stored, data_set).shape == stored.shape


@thorough
@given(STORED, WINDOWS, st.sampled_from(list(Greyscale)))
def test_an_inversion_is_one_and_exact(
    stored: NDArray[np.generic], window: dict[str, object], greyscale: Greyscale
) -> None:
    plain = grey_of(stored, described(**window), greyscale).astype(int)
    for attributes in (
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
        {"PresentationLUTShape": "INVERSE"},
    ):
        turned = grey_of(stored, described(**attributes, **window), greyscale).astype(int)
        if greyscale is Greyscale.WINDOW:
            assert np.abs(plain + turned - 255).max() <= 1
        else:  # equalised after it: the order is turned
            order = np.argsort(stored, axis=None)
            assert (np.diff(turned.ravel()[order]) <= 0).all()
            assert turned.min() == 0


@thorough
@given(STORED, st.integers(0, 60), st.booleans(), st.sampled_from(list(Greyscale)), st.data())
def test_padding_never_influences_the_rest(
    stored: NDArray[np.integer], reach: int, inverted: bool, greyscale: Greyscale, data: st.DataObject
) -> None:
    """Whatever the padded pixels hold between value and limit, the others come out the same."""
    span = np.iinfo(stored.dtype)
    value = data.draw(st.integers(span.min, span.max - reach))
    is_padding = np.zeros(stored.shape, dtype=bool)
    is_padding[:, :7] = True
    would_be = ~is_padding & (stored >= value) & (stored <= value + reach)
    image = np.where(would_be, value + reach + 1 if value + reach < span.max else value - 1, stored)
    if (image[~is_padding] == image[~is_padding][0]).all():
        return
    attributes = {
        "PixelPaddingValue": value,
        "PixelPaddingRangeLimit": value + reach,
        "PixelRepresentation": int(span.min < 0),
        "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2",
    }
    shown = []
    for seed in (1, 2):
        padding = np.random.default_rng(seed).integers(value, value + reach + 1, image.shape)
        filled = np.where(is_padding, padding, image).astype(stored.dtype)
        shown.append(grey_of(filled, described(**attributes), greyscale))
    assert (shown[0] == shown[1]).all()
    assert shown[0][is_padding].max() == 0
    bare = grey_of(image[:, 7:].astype(stored.dtype), described(**attributes), greyscale)
    assert (shown[0][:, 7:] == bare).all()


@pytest.mark.parametrize(
    ("value", "kind", "stored"), [(63536, np.int16, -2000), (-1, np.uint16, 65535), (5, np.uint8, 5)]
)
def test_padding_written_signed_or_unsigned(value: int, kind: type[np.integer], stored: int) -> None:
    data_set = described()
    data_set.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)
    assert grey_of(np.array([[stored, 10, 20]], dtype=kind), data_set).tolist() == [[0, 0, 255]]


def test_a_voi_lut_after_a_rescale_to_negative_values_begins_there() -> None:
    data_set = described(RescaleSlope=1, RescaleIntercept=-10, VOILUTSequence=[lut([0, 100, 200], 65534, 8)])
    assert grey_of(np.array([[7, 8, 9, 10]], dtype=np.uint16), data_set).tolist() == [[0, 0, 100, 200]]


def test_entries_larger_than_their_descriptor_says_do_not_wrap() -> None:
    data_set = described(VOILUTSequence=[lut([0, 2048, 4095], 0, 8)])
    assert grey_of(np.array([[0, 1, 2]], dtype=np.uint16), data_set).tolist() == [[0, 128, 255]]


class TestMinMaxEqualised:
    def test_it_is_what_opencv_makes(self) -> None:
        """OpenCV's equalizeHist gave these for this image."""
        stored = np.array(
            [[0, 10, 10, 20, 20, 30], [40, 50, 60, 60, 60, 60], [200, 200, 210, 220, 255, 255]],
            dtype=np.uint8,
        )
        expected = [[0, 30, 30, 60, 60, 75], [90, 105, 165, 165, 165, 165], [195, 195, 210, 225, 255, 255]]
        assert grey_of(stored, described(), Greyscale.MINMAX_EQUALISED).tolist() == expected

    def test_from_the_least_to_the_greatest_value_and_truncated(self) -> None:
        stored = np.array([[1000, 1999, 2000, 3000]], dtype=np.uint16)  # 0, 127.37, 127.5, 255 of 255
        assert grey_of(stored, described(), Greyscale.MINMAX_EQUALISED).tolist() == [[0, 170, 170, 255]]

    def test_a_window_or_voi_lut_makes_no_difference_and_a_modality_lut_does(self) -> None:
        stored = np.array([[0, 1, 2, 2]], dtype=np.uint16)
        plain = grey_of(stored, described(), Greyscale.MINMAX_EQUALISED)
        for attributes in (
            {"WindowCenter": 0, "WindowWidth": 1},
            {"VOILUTSequence": [lut([0, 255, 128], 0, 8)]},
        ):
            assert (grey_of(stored, described(**attributes), Greyscale.MINMAX_EQUALISED) == plain).all()
        turned = described(ModalityLUTSequence=[lut([255, 128, 0], 0, 8)])
        assert grey_of(stored, turned, Greyscale.MINMAX_EQUALISED).tolist() == [[255, 128, 0, 0]]

    def test_only_the_shown_part_counts(self) -> None:
        words = np.array([[0, 100, 200, 65535]], dtype=np.uint16)
        frame = StoredFrame(words, 16, 15, is_signed=False)
        shown = StoredFrame(words[:, :3], 16, 15, is_signed=False)
        grey = displayed_grey(frame, described(), Greyscale.MINMAX_EQUALISED, shown).grey
        assert grey.tolist() == [[0, 128, 255]]

    def test_a_flat_image(self) -> None:
        flat = np.full((2, 2), 7, dtype=np.uint16)
        assert grey_of(flat, described(), Greyscale.MINMAX_EQUALISED).tolist() == [[0, 0], [0, 0]]
