"""Grey values compared with DCMTK's, for photometric interpretation, VOI, bits and tables.

The images contain every stored value once, so that a case compares whole transfer functions. Two
renderings agree within one grey level of 255, because DCMTK truncates and we round. If DCMTK 3.6.7
itself departs from the Standard, a class of tests states how, and compares ours with something that
DCMTK does right.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.radiographs import curve, lut, radiograph, ramp, write

from echo_node.dicom.image.decoding import decoded
from echo_node.dicom.image.greyscale import displayed_grey
from echo_node.dicom.image.visibility import Visible

pytestmark = pytest.mark.external

TOLERANCE = 1
LAYOUTS = [
    (8, 8, 7),
    (8, 16, 7),
    (10, 16, 9),
    (12, 16, 11),
    (12, 16, 15),
    (12, 16, 13),
    (14, 16, 13),
    (16, 16, 15),
]
"""Bits stored, bits allocated, high bit."""
PHOTOMETRIC = [
    ("MONOCHROME1", ""),
    ("MONOCHROME2", ""),
    ("MONOCHROME1", "INVERSE"),
    ("MONOCHROME2", "IDENTITY"),
    ("MONOCHROME2", "INVERSE"),
]
WINDOW, TABLE, EXTREMES = ("+Wi", "1"), ("+Wl", "1"), ("+Wm",)


@pytest.fixture(autouse=True)
def first_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show what an image states first, as DCMTK does, even if it leaves almost nothing."""
    monkeypatch.setattr(Visible, "is_enough", lambda _visible, _reference: True)


def shown_by_dcmtk(file: Path, voi: Sequence[str]) -> NDArray[np.uint8]:
    done = subprocess.run(
        ["/usr/bin/dcmj2pnm", "--quiet", "+op", *voi, file, file.with_suffix(".pgm")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return np.asarray(Image.open(io.BytesIO(file.with_suffix(".pgm").read_bytes())))


def difference(folder: Path, image: Dataset, voi: Sequence[str], theirs: Dataset | None = None) -> int:
    """Return the largest difference to DCMTK's rendering of *image*, or of *theirs* if given."""
    ours = dcmread(write(folder / "ours.dcm", image))
    shown = displayed_grey(decoded(ours), ours).grey
    other = write(folder / "theirs.dcm", theirs or image)
    assert len(np.unique(shown)) > 1, "a flat image would agree with anything"
    return int(np.abs(shown.astype(int) - shown_by_dcmtk(other, voi)).max())


@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_windows_for_every_layout_of_bits(
    tmp_path: Path, layout: tuple[int, int, int], is_signed: bool
) -> None:
    bits = layout[0]
    window = {"WindowCenter": (0 if is_signed else 1 << (bits - 1)) + 7, "WindowWidth": (1 << bits) // 3}
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        for function in ("LINEAR", "SIGMOID"):
            image = radiograph(
                ramp(*layout),
                layout,
                is_signed=is_signed,
                PhotometricInterpretation=photometric,
                VOILUTFunction=function,
                **window,
            )
            assert difference(tmp_path, image, WINDOW) <= TOLERANCE, (photometric, function)
        image = radiograph(ramp(*layout), layout, is_signed=is_signed, PhotometricInterpretation=photometric)
        assert difference(tmp_path, image, EXTREMES) <= TOLERANCE, photometric


@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize(("photometric", "shape"), PHOTOMETRIC)
def test_one_inversion_under_every_voi(tmp_path: Path, photometric: str, shape: str, is_signed: bool) -> None:
    first = -2048 if is_signed else 0
    for attributes, voi in (
        ({"WindowCenter": first + 1800, "WindowWidth": 2500}, WINDOW),
        ({"WindowCenter": first + 1800, "WindowWidth": 2500, "VOILUTFunction": "SIGMOID"}, WINDOW),
        ({"VOILUTSequence": [lut(curve(4096, 12), first, 12)]}, TABLE),
        ({"ModalityLUTSequence": [lut(curve(4096, 12), first, 12)]}, EXTREMES),
        ({}, EXTREMES),
    ):
        image = radiograph(
            ramp(12, 16, 11),
            (12, 16, 11),
            is_signed=is_signed,
            PhotometricInterpretation=photometric,
            PresentationLUTShape=shape or None,
            **attributes,
        )
        assert difference(tmp_path, image, voi) <= TOLERANCE, voi


@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("entry_bits", [8, 10, 12, 16])
def test_tables_of_every_depth(tmp_path: Path, entry_bits: int, is_signed: bool) -> None:
    first, most = (-2048 if is_signed else 0), 2**entry_bits
    whole = lut(curve(4096, entry_bits), first, entry_bits)
    window = {"WindowCenter": 0.4 * most, "WindowWidth": 0.6 * most}
    for attributes, voi in (
        ({"VOILUTSequence": [whole]}, TABLE),
        ({"VOILUTSequence": [lut(curve(1000, entry_bits), first + 1500, entry_bits)]}, TABLE),
        ({"ModalityLUTSequence": [whole], **window}, WINDOW),
        ({"ModalityLUTSequence": [whole]}, EXTREMES),
        (
            {
                "ModalityLUTSequence": [whole],
                "VOILUTSequence": [lut(curve(most, entry_bits), 0, entry_bits)],
            },
            TABLE,
        ),
    ):
        image = radiograph(ramp(12, 16, 11), (12, 16, 11), is_signed=is_signed, **attributes)
        assert difference(tmp_path, image, voi) <= TOLERANCE, (voi, list(attributes))


@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
def test_odd_shapes_of_tables(tmp_path: Path, is_signed: bool) -> None:
    first = -2048 if is_signed else 0
    rescaled = {"RescaleSlope": 1, "RescaleIntercept": -1024}
    shapes: dict[str, dict[str, object]] = {
        "packed bytes": {"VOILUTSequence": [lut(curve(4096, 8), first, 8, packed=True)]},
        "an odd number of packed bytes": {
            "VOILUTSequence": [lut(curve(1001, 8), first + 1500, 8, packed=True)]
        },
        "written as a list": {"VOILUTSequence": [lut(curve(4096, 12), first, 12, vr="US")]},
        "first value written unsigned": {"VOILUTSequence": [lut(curve(4096, 12), first % 65536, 12)]},
        "after a rescale to negative values": {
            **rescaled,
            "VOILUTSequence": [lut(curve(4096, 12), first - 1024, 12)],
        },
        "the same, written unsigned": {
            **rescaled,
            "VOILUTSequence": [lut(curve(4096, 12), (first - 1024) % 65536, 12)],
        },
    }
    for name, attributes in shapes.items():
        image = radiograph(ramp(12, 16, 11), (12, 16, 11), is_signed=is_signed, **attributes)
        assert difference(tmp_path, image, TABLE) <= TOLERANCE, name


@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("sequence", ["ModalityLUTSequence", "VOILUTSequence"])
def test_0_entries_are_65536(tmp_path: Path, sequence: str, is_signed: bool) -> None:
    table = lut(curve(65536, 16), -32768 if is_signed else 0, 16)
    assert table.LUTDescriptor[0] == 0
    image = radiograph(ramp(16, 16, 15), (16, 16, 15), is_signed=is_signed, **{sequence: [table]})
    assert difference(tmp_path, image, TABLE if sequence.startswith("VOI") else EXTREMES) <= TOLERANCE


@pytest.mark.parametrize(
    ("centre", "width"), [(200, 1), (200, 2), ("200.25", "1.5"), (200, 100_000), ("300.25", "500.5")]
)
@pytest.mark.parametrize("rescale", [(1, 0), (3, "-12.5"), (-1, 4095)])
def test_narrow_wide_and_fractional_windows_after_a_rescale(
    tmp_path: Path, centre: object, width: object, rescale: tuple[object, object]
) -> None:
    slope, intercept = rescale
    image = radiograph(
        ramp(12, 16, 11),
        (12, 16, 11),
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=centre,
        WindowWidth=width,
    )
    assert difference(tmp_path, image, WINDOW) <= TOLERANCE


class TestWhereDcmtkLeavesTheStandard:
    def test_it_does_not_know_linear_exact(self, tmp_path: Path) -> None:
        """C.11.2.1.3.2 is the linear window that is half a value to the right and one wider."""
        common = (ramp(8, 8, 7), (8, 8, 7))
        exact = radiograph(*common, WindowCenter=100, WindowWidth=60, VOILUTFunction="LINEAR_EXACT")
        assert difference(tmp_path, exact, WINDOW) > TOLERANCE
        linear = radiograph(*common, WindowCenter="100.5", WindowWidth=61)
        assert difference(tmp_path, exact, WINDOW, theirs=linear) <= TOLERANCE

    def test_it_rounds_what_a_fractional_rescale_gives(self, tmp_path: Path) -> None:
        """C.11.1.1.2 does not round, and C.11.2.1.2 windows reals: visible in a narrow window."""
        common = (ramp(12, 16, 11), (12, 16, 11))
        wide, narrow = (
            radiograph(
                *common, RescaleSlope="0.37", RescaleIntercept="-12.5", WindowCenter=300, WindowWidth=width
            )
            for width in (500, 5)
        )
        assert difference(tmp_path, wide, WINDOW) <= TOLERANCE
        assert difference(tmp_path, narrow, WINDOW) > TOLERANCE
        # The same window in stored values, with the half and the one of C.11.2.1.2 rescaled.
        in_stored = radiograph(*common, WindowCenter=(299.5 + 12.5) / 0.37 + 0.5, WindowWidth=4 / 0.37 + 1)
        in_stored.WindowCenter, in_stored.WindowWidth = (
            f"{float(in_stored[each].value):.8f}" for each in ("WindowCenter", "WindowWidth")
        )
        assert difference(tmp_path, narrow, WINDOW, theirs=in_stored) <= TOLERANCE

    def test_it_shows_padding_and_lets_it_set_the_contrast(self, tmp_path: Path) -> None:
        """C.7.5.1.1.2: padding is not part of the image. Ours is as without padding."""
        pixels = ramp(12, 16, 11)
        image = radiograph(pixels, (12, 16, 11), PixelPaddingValue=0, PixelPaddingRangeLimit=1000)
        assert difference(tmp_path, image, EXTREMES) > TOLERANCE
        ours = dcmread(tmp_path / "ours.dcm")
        shown = displayed_grey(decoded(ours), ours).grey
        assert shown[pixels <= 1000].max() == 0
        bare = write(tmp_path / "bare.dcm", radiograph(np.maximum(pixels, 1001), (12, 16, 11)))
        rest = np.abs(shown.astype(int) - shown_by_dcmtk(bare, EXTREMES))[pixels > 1000]
        assert rest.max() <= TOLERANCE

    def test_its_presentation_lut_shape_overrules_monochrome1(self, tmp_path: Path) -> None:
        """IDENTITY is forbidden with MONOCHROME1 (C.8.11.3), always inverted (C.7.6.3.1.2)."""
        common = (ramp(12, 16, 11), (12, 16, 11))
        both = radiograph(*common, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="IDENTITY")
        assert difference(tmp_path, both, EXTREMES) > TOLERANCE
        plain = radiograph(*common, PhotometricInterpretation="MONOCHROME1")
        assert difference(tmp_path, both, EXTREMES, theirs=plain) <= TOLERANCE

    def test_it_wraps_entries_that_are_larger_than_their_descriptor_allows(self, tmp_path: Path) -> None:
        """C.11.1.1 has no such table; its low bytes alone would show rings. We use the entries."""
        common = (ramp(12, 16, 11), (12, 16, 11))
        wrong = radiograph(*common, VOILUTSequence=[lut(curve(4096, 12), 0, 8)])
        assert difference(tmp_path, wrong, TABLE) > TOLERANCE
        right = radiograph(*common, VOILUTSequence=[lut(curve(4096, 12), 0, 12)])
        assert difference(tmp_path, wrong, TABLE, theirs=right) <= TOLERANCE


ENCODERS = {
    "JPEG Lossless SV1": ["dcmcjpeg", "+e1"],
    "JPEG Lossless": ["dcmcjpeg", "+el"],
    "JPEG-LS": ["dcmcjpls"],
    "RLE": ["dcmcrle"],
    "Deflated": ["dcmconv", "+td"],
    "Big Endian": ["dcmconv", "+tb"],
    "Implicit": ["dcmconv", "+ti"],
}


def smooth(bits: int, is_signed: bool) -> NDArray[np.int64]:
    """Return values that any lossy codec keeps well, over the whole range."""
    y, x = np.mgrid[0:96, 0:80]
    rising = (np.sin(x / 15) + np.cos(y / 11) + 2) / 4
    values: NDArray[np.int64] = np.rint(rising * (2**bits - 1)).astype(np.int64)
    return values - (1 << (bits - 1)) if is_signed else values


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_what_dcmtk_encodes_without_loss_is_decoded_without_loss(
    tmp_path: Path, encoder: str, bits: int, is_signed: bool
) -> None:
    values, layout = smooth(bits, is_signed), (bits, 8 if bits == 8 else 16, bits - 1)
    plain = write(tmp_path / "plain.dcm", radiograph(values, layout, is_signed=is_signed))
    program, *options = ENCODERS[encoder]
    subprocess.run([f"/usr/bin/{program}", *options, plain, tmp_path / "encoded.dcm"], check=True)
    encoded = dcmread(tmp_path / "encoded.dcm")
    assert encoded.file_meta.TransferSyntaxUID != dcmread(plain).file_meta.TransferSyntaxUID
    frame = decoded(encoded)
    assert (frame.values[frame.words] == values).all()


@pytest.mark.parametrize(
    ("options", "bits"),
    [(["+eb"], 8), (["+ee"], 8), (["+ee"], 12), (["+eb"], 12), (["+en"], 12), (["+en"], 16)],
    ids=str,
)
def test_lossy_streams_are_decoded_as_dcmtk_decodes_them(
    tmp_path: Path, options: list[str], bits: int
) -> None:
    plain = write(
        tmp_path / "plain.dcm", radiograph(smooth(bits, False), (bits, 8 if bits == 8 else 16, bits - 1))
    )
    family = "pls" if options == ["+en"] else "peg"
    for program, source, target in (
        (f"/usr/bin/dcmcj{family}", plain, tmp_path / "encoded.dcm"),
        (f"/usr/bin/dcmdj{family}", tmp_path / "encoded.dcm", tmp_path / "decoded.dcm"),
    ):
        subprocess.run([program, *(options if source == plain else []), source, target], check=True)
    ours, theirs = (decoded(dcmread(tmp_path / name)) for name in ("encoded.dcm", "decoded.dcm"))
    assert (ours.bits, ours.is_signed) == (theirs.bits, theirs.is_signed)
    # Two implementations of the inverse DCT may round differently.
    assert np.abs(ours.values[ours.words] - theirs.values[theirs.words]).max() <= (family == "peg")
