"""Chests under any angle, real or computed, and what is measured on them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from echo_node.domain.studies.appearance import Appearance, Zone
from echo_node.errors import ConfigError
from echo_node.inference.view_check import KNOWN, ViewCheck
from training.view_check.chest import ON_THE_LEFT, Scene, radiograph
from training.view_check.ct import CtChest
from training.view_check.measure import (
    REFUSED_VIEWS,
    Measured,
    hard_phantoms,
    operating_limits,
    zone_table,
)
from training.view_check.scenes import HARD, hard_frontal

LIMITS = {Zone.READ: 0.9, Zone.MARKED: 0.25}


def generator() -> np.random.Generator:
    return np.random.default_rng(11)


class TestScenes:
    def test_a_scene_is_a_function_of_its_generator(self) -> None:
        first, again = (radiograph(Scene(), generator()) for _ in range(2))
        assert np.array_equal(first, again)
        assert (first.shape, first.dtype) == ((128, 128), np.dtype(np.uint8))

    def test_a_chest_from_the_side_is_narrower(self) -> None:
        widths = []
        for degrees in (0.0, 45.0, 90.0):
            image = radiograph(Scene(turn=np.deg2rad(degrees), arms="raised"), generator())
            widths.append(int((image[70:90] > 10).any(axis=0).sum()))
        assert widths[0] > widths[2]

    def test_fluid_follows_gravity(self) -> None:
        dry = radiograph(Scene(), generator()).astype(int)
        erect = radiograph(Scene(fluid=(0.0, 4.0)), generator()).astype(int) - dry
        lying = radiograph(Scene(fluid=(0.0, 4.0), down=ON_THE_LEFT), generator()).astype(int) - dry
        erect_spread, lying_spread = (np.argwhere(each > 25).std(axis=0) for each in (erect, lying))
        assert erect_spread[0] < lying_spread[0], "a level across the body of an upright patient"
        assert erect_spread[1] > lying_spread[1], "a level along the spine of one who lies on the side"

    def test_a_white_lung_is_on_its_side(self) -> None:
        dry = radiograph(Scene(), generator()).astype(int)
        white = radiograph(Scene(white=(0.9, 0.0)), generator()).astype(int) - dry
        assert white[40:80, 30:60].mean() > white[40:80, 68:98].mean() + 20

    @pytest.mark.parametrize("kind", HARD)
    def test_every_hard_kind_has_an_image_of_any_size(self, kind: str) -> None:
        for size in (128, 160):
            image = hard_frontal(kind, generator(), size)
            assert (image.shape, image.dtype) == ((size, size), np.dtype(np.uint8))
            assert image.max() > image.min()


def nifti(path: Path, units: np.ndarray) -> Path:
    header = bytearray(352)
    header[42:48] = np.array(units.shape[::-1], "<i2").tobytes()
    header[80:92] = np.array([5.0, 5.0, 5.0], "<f4").tobytes()
    header[108:120] = np.array([352.0, 1.0, -1024.0], "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(header) + (units + 1024).astype("<i2").tobytes()))
    return path


class TestCt:
    @pytest.fixture
    def volume(self, tmp_path: Path) -> CtChest:
        """Return a wide body with a dense ball in front and on its left."""
        z, y, x = np.mgrid[0:60, 0:80, 0:80]
        units = np.where(((x - 40) / 32) ** 2 + ((y - 40) / 20) ** 2 < 1, 0, -1000)
        units[(x - 56) ** 2 + (y - 52) ** 2 + (z - 30) ** 2 < 30] = 1500
        return CtChest(nifti(tmp_path / "ct.nii.gz", units))

    def test_the_left_of_the_patient_is_on_the_right_of_a_frontal_projection(self, volume: CtChest) -> None:
        frontal, posterior = (volume.radiograph(turn, generator()) for turn in (0.0, np.pi))
        assert frontal.argmax() % 192 > 100
        assert posterior.argmax() % 192 < 92

    def test_a_lateral_projection_is_narrower(self, volume: CtChest) -> None:
        wide, narrow = ((volume.radiograph(turn, generator())[96] > 10).sum() for turn in (0.0, np.pi / 2))
        assert narrow < 0.8 * wide

    @pytest.mark.parametrize(
        "content", [b"", b"no volume", gzip.compress(b"short")], ids=["empty", "text", "another gzip file"]
    )
    def test_another_file_is_named(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "other"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="is not a compressed NIfTI volume"):
            CtChest(path)


class Brightness(ViewCheck):
    """A check whose frontal probability is the mean brightness."""

    def __init__(self) -> None:
        super().__init__({}, dict.fromkeys(KNOWN, 0.5), LIMITS)

    def probabilities(self, small_HW: np.ndarray) -> np.ndarray:
        found = np.zeros(len(KNOWN), np.float32)
        found[KNOWN.index(Appearance.FRONTAL)] = small_HW.mean() / 255.0
        return found


class TestMeasuring:
    def test_every_phantom_is_counted_once(self) -> None:
        hard, others = hard_phantoms(5, len(HARD) + 1, 5)
        assert [len(each) for each in hard.values()] == [2] + [1] * (len(HARD) - 1)
        assert {name: len(each) for name, each in others.items()} == dict(
            zip(REFUSED_VIEWS, (2, 1, 1, 1), strict=True)
        )

    def test_limits_lose_few_frontal_images_and_stay_within_their_bounds(self) -> None:
        grey = [np.full((1000, 4, 4), level, np.uint8) for level in (0, 25, 255)]
        black, middle, white = grey
        check = Brightness()
        assert operating_limits(check, {"": white}, {"": black}) == {Zone.READ: 0.6, Zone.MARKED: 0.2}
        assert operating_limits(check, {"": black}, {"": white}) == {Zone.READ: 0.75, Zone.MARKED: 0.02}
        limits = operating_limits(check, {"": middle}, {"": black})
        assert limits[Zone.MARKED] == pytest.approx(25 / 255, abs=1e-3)

    def test_shares_and_table_count_by_the_limits(self) -> None:
        groups = {"a": np.array([0.1, 0.25, 0.9, 0.95]), "b": np.array([0.2, 0.5])}
        measured = Measured(groups, {"c": np.array([0.0, 0.3])}, {}, {}, LIMITS)
        assert measured.lost() == pytest.approx(2 / 6)
        assert measured.marked() == pytest.approx(2 / 6)
        assert measured.refusals() == pytest.approx(1 / 2)
        table = zone_table(groups, LIMITS, "it is").splitlines()
        assert table[0] == "| it is | images | read | read and marked | not read |"
        assert table[2:] == ["| a | 4 | 2 | 1 | 1 |", "| b | 2 | 0 | 1 | 1 |"]
