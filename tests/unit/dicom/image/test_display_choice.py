"""The display that is used where what an image states leaves almost nothing of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from echo_node.dicom.image.decoding import StoredFrame
from echo_node.dicom.image.greyscale import Displayed, displayed_grey
from echo_node.domain.studies.study import Greyscale, HeaderRemark

OTHER, RANGE, PADDING = (
    (HeaderRemark.OTHER_DISPLAY,),
    (HeaderRemark.RANGE_DISPLAYED,),
    (HeaderRemark.PADDING_IGNORED,),
)
Stored = NDArray[np.integer]


def film(side: int = 96) -> Stored:
    """Return two dark lungs in a bright body before dark air: 12 bits, 100 to 3300, with noise."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    body = np.clip(1.2 - x**2 - y**2 / 3, 0, 1)
    lungs = np.exp(-(((np.abs(x) - 0.4) / 0.25) ** 2) - ((y + 0.1) / 0.5) ** 2)
    signal = 200 + 3000 * body * (1 - 0.8 * lungs)
    noise = np.random.default_rng(3).normal(0, 20, signal.shape)
    return np.asarray(np.clip(signal + noise, 100, 3300), np.uint16)


def surrounded(picture: Stored, share: float, value: int) -> Stored:
    """Return the picture in a border of one value, which covers that share of the whole."""
    side = round(len(picture) / np.sqrt(1 - share))
    whole = np.full((side, side), value, picture.dtype)
    first = (side - len(picture)) // 2
    whole[first : first + len(picture), first : first + len(picture)] = picture
    return whole


def shown(stored: Stored, *recipe: Greyscale, **attributes: object) -> Displayed:
    data_set = Dataset()
    data_set.PhotometricInterpretation = "MONOCHROME2"
    for keyword, value in attributes.items():
        if keyword in ("WindowCenter", "WindowWidth"):
            data_set.add_new(keyword, "LO", value)  # a decimal string has no room for these
        else:
            setattr(data_set, keyword, value)
    bits = 8 * stored.dtype.itemsize
    frame = StoredFrame(stored.view(f"u{stored.dtype.itemsize}"), bits, bits - 1, is_signed=False)
    return displayed_grey(frame, data_set, recipe[0] if recipe else Greyscale.WINDOW)


def lut(entries: list[int], count: int | None = None) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries) if count is None else count, 0, 12]
    item.LUTData = np.array(entries, dtype="<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item


def stretched(values: NDArray[np.integer], least: float, greatest: float) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip((values - least) / (greatest - least), 0, 1) * 255), np.uint8)


def are_near(grey: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> bool:
    """Return whether the two agree, rounding aside."""
    return bool(np.abs(grey.astype(int) - wanted).max() <= 1)


FILM = film()
WHOLE = stretched(FILM, FILM.min(), FILM.max())
GOOD = {"WindowCenter": "1600.5", "WindowWidth": "3001"}
BY_GOOD = stretched(FILM, 100, 3100)
USELESS_WINDOWS = [
    ("1600", "1"),
    ("1600", "0.5"),
    ("1600", "2"),
    ("1600", "0"),
    ("1600", "-400"),
    ("1600", "NaN"),
    ("1600", "wide"),
    ("", "0"),
    ("40000", "2000"),
    ("-40000", "2000"),
    ("1600", "1000000"),
    ("1600,5", "1,0"),
]


@pytest.mark.parametrize(("centre", "width"), USELESS_WINDOWS)
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_a_useless_window_gives_way_to_the_range(centre: str, width: str, photometric: str) -> None:
    result = shown(FILM, PhotometricInterpretation=photometric, WindowCenter=centre, WindowWidth=width)
    wanted = WHOLE if photometric == "MONOCHROME2" else 255 - WHOLE
    assert are_near(result.grey, wanted)
    # Without a centre, no window is stated.
    assert result.remarks == (RANGE if centre else ())
    assert not result.is_blank


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_so_does_one_of_any_function(function: str) -> None:
    result = shown(FILM, WindowCenter="1600", WindowWidth="1", VOILUTFunction=function)
    assert are_near(result.grey, WHOLE)
    assert result.remarks == RANGE


@pytest.mark.parametrize(("centre", "width"), [each for each in USELESS_WINDOWS if each[0]])
def test_and_to_the_next_window_before_that(centre: str, width: str) -> None:
    result = shown(FILM, WindowCenter=[centre, "1600.5"], WindowWidth=[width, "3001"])
    assert are_near(result.grey, BY_GOOD)
    assert result.remarks == OTHER


def test_a_decimal_comma_is_read_as_one() -> None:
    result = shown(FILM, WindowCenter="1600,5", WindowWidth="3001,0")
    assert are_near(result.grey, BY_GOOD)
    assert result.remarks == ()


@pytest.mark.parametrize(
    ("centres", "widths", "wanted", "remarks"),
    [
        (["1600.5", "1600.5", "7"], ["3001"], BY_GOOD, ()),
        (["1600.5"], ["3001", "1", "1"], BY_GOOD, ()),
        (["1"] * 300, ["1"] * 300, WHOLE, RANGE),
        (["1600.5"] + ["1"] * 300, ["3001"] + ["1"] * 300, BY_GOOD, ()),
        (["1"] * 5 + ["1600.5"], ["1"] * 5 + ["3001"], BY_GOOD, OTHER),
    ],
    ids=["more centres", "more widths", "hundreds", "hundreds after a good one", "the sixth"],
)
def test_lists_of_windows(
    centres: list[str], widths: list[str], wanted: NDArray[np.uint8], remarks: tuple[HeaderRemark, ...]
) -> None:
    result = shown(FILM, WindowCenter=centres, WindowWidth=widths)
    assert are_near(result.grey, wanted)
    assert result.remarks == remarks


@pytest.mark.parametrize(
    "item", [lut([4095]), lut([7] * 4096), lut([0, 4095], 4096), lut([0, 4095]), lut([1, 2], 1)]
)
def test_a_useless_or_invalid_table_gives_way_too(item: Dataset) -> None:
    result = shown(FILM, VOILUTSequence=[item])
    assert are_near(result.grey, WHOLE)
    assert result.remarks == RANGE
    result = shown(FILM, VOILUTSequence=[item], **GOOD)
    assert are_near(result.grey, BY_GOOD)
    assert result.remarks == OTHER
    ramp = lut([*range(4096)])
    result = shown(FILM, VOILUTSequence=[item, ramp], **GOOD)
    assert are_near(result.grey, stretched(FILM, 0, 4095))
    assert result.remarks == OTHER


@pytest.mark.parametrize(
    ("attributes", "remarks"),
    [
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, ()),
        ({"RescaleSlope": 0, "RescaleIntercept": 5, **GOOD}, ()),
        ({"RescaleSlope": "0.000001", "RescaleIntercept": 0, **GOOD}, RANGE),
        ({"ModalityLUTSequence": [lut([9])]}, RANGE),
        ({"ModalityLUTSequence": [lut([9])], **GOOD}, RANGE),
    ],
)
def test_a_rescale_that_leaves_nothing(
    attributes: dict[str, object], remarks: tuple[HeaderRemark, ...]
) -> None:
    result = shown(FILM, **attributes)
    wanted = BY_GOOD if GOOD.keys() <= attributes.keys() and not remarks else WHOLE
    assert are_near(result.grey, wanted)
    assert result.remarks == remarks


@pytest.mark.parametrize("defect", [0, 65535])
def test_a_defect_pixel_does_not_make_the_rest_black(defect: int) -> None:
    stored = FILM + np.uint16(30000)
    stored[5, 5] = defect
    result = shown(stored)
    least, greatest = np.percentile(stored, [0.5, 99.5])
    assert are_near(result.grey, stretched(stored, least, greatest))
    assert result.remarks == RANGE
    assert shown(stored, Greyscale.MINMAX_EQUALISED).remarks == RANGE


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("window", [{}, GOOD], ids=["no window", "window"])
@pytest.mark.parametrize("is_stated", [False, True], ids=["border", "padding"])
def test_a_border_of_any_size_is_no_fault(
    share: float, photometric: str, window: dict[str, object], is_stated: bool
) -> None:
    value = 0 if photometric == "MONOCHROME2" else 4095
    stored = surrounded(FILM, share, value)
    padding = {"PixelPaddingValue": value} if is_stated else {}
    result = shown(stored, PhotometricInterpretation=photometric, **padding, **window)
    assert result.remarks == ()
    assert result.grey[0, 0] == 0
    picture = result.grey[(stored != value)]
    assert len(np.unique(picture)) > 100


def test_a_tilted_border_with_letters_in_it_is_no_fault() -> None:
    y, x = np.mgrid[-48:48, -48:48]
    stored = FILM.copy()
    stored[np.abs(x * 0.9 + y * 0.4) + np.abs(y * 0.9 - x * 0.4) > 48] = 0
    stored[4:10, 4:8] = 3000
    result = shown(stored, PixelPaddingValue=0, **GOOD)
    assert result.remarks == ()
    assert (result.grey[stored == 0] == 0).all()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("window", [{}, GOOD], ids=["no window", "window"])
@pytest.mark.parametrize("part", [(0.0, 0.45), (0.4, 0.8), (0.0, 0.95), (0.0, 1.0)])
def test_padding_over_a_third_that_is_the_picture_is_ignored(
    part: tuple[float, float], window: dict[str, object], reverse: bool
) -> None:
    least, greatest = (int(each) for each in np.quantile(FILM, part))
    ends = (greatest, least) if reverse else (least, greatest)
    result = shown(FILM, PixelPaddingValue=ends[0], PixelPaddingRangeLimit=ends[1], **window)
    assert are_near(result.grey, (BY_GOOD if window else WHOLE))
    assert result.remarks == PADDING


@pytest.mark.parametrize("reverse", [False, True])
def test_a_reversed_range_of_padding_is_a_range(reverse: bool) -> None:
    stored = surrounded(FILM, 0.5, 4000)
    stored[:, 0] = 4050
    ends = (4100, 3990) if reverse else (3990, 4100)
    result = shown(stored, PixelPaddingValue=ends[0], PixelPaddingRangeLimit=ends[1], **GOOD)
    assert result.remarks == ()
    assert result.grey[stored >= 4000].max() == 0


def test_padding_that_is_the_white_of_the_mediastinum_is_ignored() -> None:
    """0 is white in MONOCHROME1, and saturated parts of the picture have it."""
    stored = np.clip(2600 - film().astype(int), 0, None).astype(np.uint16)
    stored[:4] = stored[-4:] = 1500
    assert (stored == 0).mean() < 1 / 3
    stored[20:76, 20:76] = np.where(stored[20:76, 20:76] < 900, 0, stored[20:76, 20:76])
    stored[:, :3] = stored[:, -3:] = 1500
    stored[30:66, 26:70] = 0
    stored[25:30, 26:70] = stored[66:70, 26:70] = 0
    enclosed = (stored == 0).mean()
    result = shown(stored, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0)
    assert enclosed > 1 / 3
    assert result.remarks == PADDING
    assert (result.grey[stored == 0] == 255).all()


def test_ignored_padding_that_is_black_all_the_same_needs_no_remark() -> None:
    """Black lungs have the value of the black border."""
    stored = surrounded(np.where(FILM < 1000, 0, FILM).astype(np.uint16), 0.3, 0)
    result = shown(stored, PixelPaddingValue=0)
    assert result.remarks == ()
    assert (result.grey[stored == 0] == 0).all()


@pytest.mark.parametrize(
    "stored",
    [
        np.full((64, 64), 700, np.uint16),
        np.zeros((64, 64), np.uint8),
        np.where(np.arange(4096).reshape(64, 64) < 9, 4000, 700).astype(np.uint16),
    ],
    ids=["constant", "black", "a few defects"],
)
@pytest.mark.parametrize("greyscale", list(Greyscale))
@pytest.mark.parametrize(
    "attributes", [{}, GOOD, {"PixelPaddingValue": 700}], ids=["none", "window", "padded"]
)
def test_of_one_value_nothing_is_visible(
    stored: Stored, greyscale: Greyscale, attributes: dict[str, object]
) -> None:
    assert shown(stored, greyscale, **attributes).is_blank


@pytest.mark.parametrize(
    ("stored", "attributes"),
    [
        ((FILM // 14).astype(np.uint8), {}),
        (np.clip(FILM.astype(int) * 3 - 4000, 0, 4095).astype(np.uint16), {}),
        (np.clip(FILM + 1800, 0, 4095).astype(np.uint16), {"WindowCenter": "2048", "WindowWidth": "4096"}),
        (np.random.default_rng(1).normal(2000, 12, (64, 64)).astype(np.uint16), {}),
        (FILM[:16, :16], {}),
        (FILM // 300 * 300, {}),
        (FILM // 110, {"WindowCenter": "15", "WindowWidth": "36"}),
    ],
    ids=["8 bits", "hard", "white lung", "noise", "tiny", "few greys", "some greys"],
)
def test_odd_films_are_displayed_as_they_state(stored: Stored, attributes: dict[str, object]) -> None:
    result = shown(stored, **attributes)
    assert (result.remarks, result.is_blank) == ((), False)
