from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import JPEG2000LosslessDecoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.from_file import read_chest_image
from echo_node.domain.studies.study import GreyImage, Greyscale, SelectedImage, StoredInstance
from echo_node.errors import NotEligible, PermanentError

Store = Callable[..., StoredInstance]
Sample = Callable[[str], Path]

CORNER = np.zeros((32, 40), dtype=np.uint16)
CORNER[:8, :10] = 1000  # upper left: where a letter R would be


def read(instance: StoredInstance) -> NDArray[np.uint8]:
    return as_array(DisplayedPixels().read(SelectedImage(instance, "PA")))


def as_array(image: GreyImage) -> NDArray[np.uint8]:
    return np.frombuffer(image.pixels, dtype=np.uint8).reshape(image.height, image.width)


def test_the_real_chest_is_displayed_as_a_radiologist_sees_it(sample: Sample) -> None:
    selection, image = read_chest_image(sample("RG1_UNCR"))
    assert selection.primary.view == "PA"
    assert (image.width, image.height) == (1841, 1955)
    grey = as_array(image).astype(float)
    # Lungs dark; mediastinum and the region under the diaphragm bright (stored as MONOCHROME1).
    lungs = (grey[500:900, 350:650].mean() + grey[500:900, 1200:1500].mean()) / 2
    assert lungs + 40 < grey[500:900, 850:950].mean()
    assert lungs + 40 < grey[1700:1800, 300:600].mean()


def test_the_same_picture_in_other_syntaxes(sample: Sample) -> None:
    _, plain = read_chest_image(sample("RG1_UNCR"))
    _, lossless = read_chest_image(sample("RG1_J2KR"))
    _, lossy = read_chest_image(sample("RG1_J2KI"))
    assert lossless == plain
    assert np.abs(as_array(lossy).astype(int) - as_array(plain)).mean() < 2


def test_a_leg_is_not_read(sample: Sample) -> None:
    with pytest.raises(NotEligible, match="EXTREMITY"):
        read_chest_image(sample("RG3_UNCR"))


@pytest.mark.parametrize("fails", [False, True])
def test_jpeg_2000_is_decoded_by_pylibjpeg_first_and_else_by_another(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    asked: list[str] = []

    def watch(name: str, decode: Callable[..., bytearray]) -> Callable[..., bytearray]:
        def watched(*arguments: object) -> bytearray:
            asked.append(name)
            if fails and name == "pylibjpeg":
                raise RuntimeError("declined")
            return decode(*arguments)

        return watched

    plug_ins = JPEG2000LosslessDecoder._available
    for name, decode in plug_ins.items():
        monkeypatch.setitem(plug_ins, name, watch(name, decode))
    assert read_chest_image(sample("RG1_J2KR"))[1] == read_chest_image(sample("RG1_UNCR"))[1]
    assert asked[0] == "pylibjpeg"
    assert (len(set(asked)) > 1) == fails


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
def test_lossless_syntaxes_change_nothing(stored: Store, tmp_path: Path, syntax: UID) -> None:
    instance = stored(CORNER)
    image = dcmread(instance.path)
    image.compress(syntax, generate_instance_uid=False)
    image.save_as(tmp_path / "compressed.dcm")
    again = instance_from_file(tmp_path / "compressed.dcm")
    assert again.identity.transfer_syntax_uid == syntax
    assert (read(again) == read(instance)).all()


def test_near_lossless_is_near(stored: Store, tmp_path: Path) -> None:
    instance = stored(CORNER)
    image = dcmread(instance.path)
    image.compress(JPEGLSNearLossless, jls_error=3, generate_instance_uid=False)
    image.save_as(tmp_path / "near.dcm")
    difference = read(instance_from_file(tmp_path / "near.dcm")).astype(int) - read(instance)
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (["L", "F"], CORNER),
        (["R", "F"], CORNER[:, ::-1]),
        (["L", "H"], CORNER[::-1, :]),
        (["F", "L"], CORNER.T),
        (None, CORNER),
    ],
)
def test_the_image_is_laid_upright_where_the_header_tells(
    stored: Store, orientation: list[str] | None, turned: NDArray[np.uint16]
) -> None:
    stored_upright = read(stored(CORNER))
    assert (stored_upright[:8, :10] == 255).all()
    assert stored_upright[8:, 10:].max() == 0
    again = read(stored(np.ascontiguousarray(turned), PatientOrientation=orientation))
    assert (again == stored_upright).all()


def test_what_lies_behind_the_collimator_is_cut_away(stored: Store) -> None:
    edges = {
        "CollimatorShape": "RECTANGULAR",
        "CollimatorUpperHorizontalEdge": 4,
        "CollimatorLowerHorizontalEdge": 31,
        "CollimatorLeftVerticalEdge": 0,
        "CollimatorRightVerticalEdge": 41,
    }
    assert read(stored(CORNER, **edges)).shape == (26, 40)
    assert (read(stored(CORNER, **edges)) == read(stored(CORNER))[4:30]).all()
    assert read(stored(CORNER, **{**edges, "CollimatorLeftVerticalEdge": -184})).shape == (32, 40)
    assert read(stored(CORNER, **{**edges, "CollimatorLowerHorizontalEdge": 1299})).shape == (32, 40)
    assert read(stored(CORNER, **{**edges, "CollimatorUpperHorizontalEdge": 28})).shape == (32, 40)
    assert read(stored(CORNER, **{**edges, "CollimatorShape": "CIRCULAR"})).shape == (32, 40)
    del edges["CollimatorLeftVerticalEdge"]
    assert read(stored(CORNER, **edges)).shape == (32, 40)


def test_a_rectangular_shutter_cuts_as_well(stored: Store) -> None:
    edges = {
        "ShutterShape": "RECTANGULAR",
        "ShutterUpperHorizontalEdge": 0,
        "ShutterLowerHorizontalEdge": 33,
        "ShutterLeftVerticalEdge": 5,
        "ShutterRightVerticalEdge": 36,
    }
    assert read(stored(CORNER, **edges)).shape == (32, 30)


def test_a_round_shutter_is_black_outside_and_cut_to_its_square(stored: Store) -> None:
    bright = np.full((32, 40), 4000, dtype=np.uint16)
    bright[:8] = 0
    shown = read(
        stored(bright, ShutterShape="CIRCULAR", CenterOfCircularShutter=[16, 20], RadiusOfCircularShutter=12)
    )
    assert shown.shape == (25, 25)
    assert shown[12].min() == 255
    assert shown[0, 0] == shown[-1, -1] == shown[0, -1] == 0


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ({"PixelSpacing": ["0.2", "0.1"]}, (64, 40)),
        ({"PixelSpacing": ["0.1", "0.15"]}, (32, 60)),
        ({"ImagerPixelSpacing": ["0.2", "0.1"]}, (64, 40)),
        ({"PixelAspectRatio": ["2", "1"]}, (64, 40)),
        ({"PixelAspectRatio": ["1", "2"]}, (32, 80)),
        ({"PixelSpacing": ["0.14", "0.14"], "PixelAspectRatio": ["2", "1"]}, (32, 40)),
        ({"PixelSpacing": ["0.1400", "0.1401"]}, (32, 40)),
        ({"PixelSpacing": ["0.14", "14"]}, (32, 40)),
        ({"PixelSpacing": ["0", "0"], "PixelAspectRatio": ["2", "1"]}, (64, 40)),
        ({"PixelSpacing": ["0.14"]}, (32, 40)),
        ({"PixelAspectRatio": ["2", "1"], "PatientOrientation": ["F", "L"]}, (40, 64)),
    ],
    ids=str,
)
def test_oblong_pixels_are_stretched_to_square_ones(
    stored: Store, attributes: dict[str, object], shape: tuple[int, int]
) -> None:
    assert read(stored(CORNER, **attributes)).shape == shape


def test_the_recipe_is_the_readers(stored: Store) -> None:
    instance = stored(
        np.arange(32 * 40, dtype=np.uint16).reshape(32, 40) ** 2 // 30,
        WindowCenter=1092,
        WindowWidth=300,
    )
    image = SelectedImage(instance, "PA")
    by_window, equalised = DisplayedPixels(), DisplayedPixels(Greyscale.MINMAX_EQUALISED)
    clipped = np.isin(as_array(by_window.read(image)), (0, 255))
    assert 0.8 < clipped.mean() < 0.9
    assert np.isin(as_array(equalised.read(image)), (0, 255)).mean() < 0.05
    assert len(set(equalised.read(image).pixels)) > 100
    assert read_chest_image(instance.path, greyscale=Greyscale.MINMAX_EQUALISED)[1] == equalised.read(image)


def test_a_deflated_file_is_read_as_any_other(stored: Store, tmp_path: Path) -> None:
    instance = stored(CORNER)
    image = dcmread(instance.path)
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    image.save_as(tmp_path / "deflated.dcm")
    deflated = instance_from_file(tmp_path / "deflated.dcm")
    assert deflated.identity.transfer_syntax_uid == DeflatedExplicitVRLittleEndian
    assert deflated.identity.sop_instance_uid == instance.identity.sop_instance_uid
    assert read_chest_image(tmp_path / "deflated.dcm")[1] == DisplayedPixels().read(
        SelectedImage(instance, "PA")
    )
    whole = (tmp_path / "deflated.dcm").read_bytes()
    (tmp_path / "deflated.dcm").write_bytes(whole[:-20])
    with pytest.raises(PermanentError, match="deflated data set is truncated"):
        read_chest_image(tmp_path / "deflated.dcm")
    (tmp_path / "deflated.dcm").write_bytes(whole[:-120] + b"\xff" * 120)
    with pytest.raises(PermanentError, match="deflated data set is"):
        read_chest_image(tmp_path / "deflated.dcm")


def test_a_table_that_makes_no_sense_has_its_clear_line(stored: Store) -> None:
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [5, 0, 16], b"\1\0"
    item["LUTDescriptor"].VR = "US"
    item["LUTData"].VR = "OW"
    with pytest.raises(PermanentError, match="window or look-up table is invalid"):
        read(stored(CORNER, VOILUTSequence=[item]))


@pytest.mark.parametrize(
    ("attributes", "line"),
    [
        ({"Rows": 60000, "Columns": 60000}, "not that of a radiograph"),
        ({"Rows": 1, "Columns": 1}, "not that of a radiograph"),
        ({"Rows": None}, "lacks attributes"),
        ({"BitsAllocated": 32}, "8 or 16 bit"),
        ({"SamplesPerPixel": 3}, "8 or 16 bit"),
        ({"Rows": 320}, "truncated: 2560 of 25600 bytes"),
        ({"PixelData": None}, "has no pixel data"),
    ],
)
def test_what_cannot_be_shown_has_its_clear_line(
    stored: Store, attributes: dict[str, object], line: str
) -> None:
    with pytest.raises(PermanentError, match=line) as refusal:
        read(stored(CORNER, **attributes))
    assert "Doe" not in str(refusal.value)
    assert "4711" not in str(refusal.value)


def test_a_broken_code_stream_has_its_clear_line(sample: Sample, tmp_path: Path) -> None:
    whole = sample("RG1_J2KR").read_bytes()
    start = whole.index(b"\xff\x4f\xff\x51")
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(whole[: start + 10] + b"\0" * 500 + whole[start + 510 :])
    with pytest.raises(PermanentError, match=r"cannot be decoded \(JPEG 2000.*send the image again"):
        read_chest_image(broken)


@pytest.mark.filterwarnings("ignore:End of file reached")
def test_a_file_that_is_gone_or_damaged_has_its_clear_line(stored: Store) -> None:
    instance = stored(CORNER)
    instance.path.write_bytes(instance.path.read_bytes()[:200])
    with pytest.raises(PermanentError, match="image"):
        read(instance)
    instance.path.unlink()
    with pytest.raises(PermanentError, match="cannot be read"):
        read(instance)
