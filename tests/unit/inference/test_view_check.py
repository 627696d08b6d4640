"""View check: its arithmetic, and its results on phantoms and on two real images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from pydicom.data import get_testdata_file

from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.domain.studies.appearance import Appearance, Sight, Zone
from echo_node.domain.studies.study import (
    GreyImage,
    Greyscale,
    InstanceIdentity,
    SelectedImage,
    StoredInstance,
)
from echo_node.errors import CheckpointError
from echo_node.inference.view_check import KNOWN, SHIPPED, SIDE, ViewCheck, evened, shrunk
from training.phantom.dataset import PhantomDataset
from training.view_check.measure import REFUSED_VIEWS
from training.view_check.network import ViewNetwork
from training.view_check.not_chest import KINDS
from training.view_check.scenes import HARD, hard_frontal

CHECK = ViewCheck.load()
PHANTOMS = PhantomDataset(6, seed=4711, size=256)
SURE = dict.fromkeys(KNOWN, 0.5)
LIMITS = {Zone.READ: 0.9, Zone.MARKED: 0.25}

small_pictures = arrays.arrays(np.uint8, (SIDE, SIDE))


def grey(pixels: NDArray[np.uint8]) -> GreyImage:
    height, width = pixels.shape
    return GreyImage(width, height, np.ascontiguousarray(pixels).tobytes())


def real(name: str) -> NDArray[np.uint8]:
    found = get_testdata_file(f"{name}.dcm", download=False)
    assert isinstance(found, str), "pip install pydicom-data"
    nobody = InstanceIdentity("", "", "", "", "")
    shown = DisplayedPixels(Greyscale.WINDOW).read(SelectedImage(StoredInstance(nobody, Path(found), ""), ""))
    return np.frombuffer(shown.pixels, np.uint8).reshape(shown.height, shown.width)


@pytest.fixture(params=range(6))
def phantom(request: pytest.FixtureRequest) -> NDArray[np.uint8]:
    number: int = request.param
    return PHANTOMS[number].image


class TestArithmetic:
    def test_numpy_says_what_torch_says(self, tmp_path: Path) -> None:
        torch.manual_seed(3)
        network = ViewNetwork().eval()
        network.save(tmp_path / "weights", SURE, LIMITS, {})
        network.load_state_dict({name: each.half().float() for name, each in network.state_dict().items()})
        check = ViewCheck.load(tmp_path / "weights")
        pictures = np.random.default_rng(1).integers(0, 256, (9, SIDE, SIDE), dtype=np.uint8)
        with torch.no_grad():
            inputs = torch.from_numpy(np.stack([evened(each) for each in pictures]))[:, None]
            expected = network(inputs).softmax(dim=1).numpy()
        found = np.stack([check.probabilities(each) for each in pictures])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)

    @given(small_pictures, st.integers(0, 2**32))
    def test_a_curve_that_keeps_the_order_of_greys_changes_nothing(
        self, picture: NDArray[np.uint8], seed: int
    ) -> None:
        levels = np.unique(picture)
        chosen = np.random.default_rng(seed).choice(256, len(levels), replace=False)
        curve = np.sort(chosen).astype(np.uint8)
        assert np.array_equal(evened(picture), evened(curve[np.searchsorted(levels, picture)]))

    @given(small_pictures)
    def test_an_inverted_picture_is_the_opposite(self, picture: NDArray[np.uint8]) -> None:
        np.testing.assert_allclose(evened(255 - picture), -evened(picture), atol=1e-6)

    @given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 300), st.integers(1, 300))))
    def test_every_shape_of_image_is_looked_at(self, pixels: NDArray[np.uint8]) -> None:
        assert shrunk(grey(pixels)).shape == (SIDE, SIDE)
        probabilities = CHECK.probabilities(shrunk(grey(pixels)))
        assert probabilities.sum() == pytest.approx(1.0)
        assert (probabilities >= 0).all()

    def test_an_oblong_image_keeps_its_shape_between_black_bars(self) -> None:
        small = shrunk(grey(np.full((400, 200), 200, np.uint8)))
        assert (small[:, 16:48] == 200).all()
        assert not small[:, :16].any()
        assert not small[:, 48:].any()

    def test_what_is_not_likely_enough_is_not_named(self) -> None:
        check = ViewCheck({}, dict.fromkeys(KNOWN, 0.9) | {Appearance.LATERAL: 0.6}, LIMITS)
        likely = np.full(len(KNOWN), 0.05, np.float32)
        likely[KNOWN.index(Appearance.LATERAL)] = 0.7
        assert check.named(likely) is Appearance.LATERAL
        assert check.named(np.roll(likely, 1)) is Appearance.UNSURE

    @pytest.mark.parametrize(
        ("frontal", "mirrored", "zone"),
        [
            (0.95, 0.01, Zone.READ),
            (0.5, 0.45, Zone.READ),
            (0.02, 0.9, Zone.READ),
            (0.5, 0.1, Zone.MARKED),
            (0.15, 0.11, Zone.MARKED),
            (0.1, 0.1, Zone.REFUSED),
            (0.0, 0.0, Zone.REFUSED),
        ],
    )
    def test_both_frontal_classes_together_decide_the_zone(
        self, frontal: float, mirrored: float, zone: Zone
    ) -> None:
        likely = np.full(len(KNOWN), (1.0 - frontal - mirrored) / (len(KNOWN) - 2))
        likely[KNOWN.index(Appearance.FRONTAL)] = frontal
        likely[KNOWN.index(Appearance.MIRRORED)] = mirrored
        sight = ViewCheck({}, SURE, LIMITS).sight(likely.astype(np.float32))
        assert sight.zone is zone
        assert sight.frontal == pytest.approx(frontal + mirrored, abs=1e-6)

    def test_the_zone_is_that_of_the_picture(self, phantom: NDArray[np.uint8]) -> None:
        sight = CHECK.look(grey(phantom))
        assert sight == Sight(sight.appearance, sight.frontal, Zone.READ)
        assert CHECK.look(grey(np.ascontiguousarray(np.rot90(phantom)))).zone is Zone.REFUSED


class TestTheShippedWeights:
    def test_they_are_small_and_need_no_torch(self) -> None:
        assert SHIPPED.stat().st_size < 1_000_000
        code = (
            "import sys\nfrom echo_node.inference.view_check import ViewCheck\nViewCheck.load()\n"
            "assert not {'torch', 'transformers', 'pydicom'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_a_frontal_phantom_is_frontal(self, phantom: NDArray[np.uint8]) -> None:
        sight = CHECK.look(grey(phantom))
        assert (sight.appearance, sight.zone) == (Appearance.FRONTAL, Zone.READ)

    @pytest.mark.parametrize("kind", HARD)
    def test_a_hard_frontal_one_is_read(self, kind: str) -> None:
        zones = [
            CHECK.look(grey(hard_frontal(kind, np.random.default_rng([4711, n]), 128))).zone for n in range(3)
        ]
        assert Zone.REFUSED not in zones

    @pytest.mark.parametrize("view", REFUSED_VIEWS)
    def test_other_views_are_not_read(self, view: str) -> None:
        """Nine of ten. An upright decubitus view often looks like a frontal one: three of ten."""
        images = [REFUSED_VIEWS[view](np.random.default_rng([4711, n]), 128) for n in range(10)]
        assert sum(CHECK.look(grey(each)).zone is Zone.REFUSED for each in images) >= (
            3 if view.startswith("decubitus, upright") else 9
        )

    @pytest.mark.parametrize(
        ("looks", "lay"),
        [
            (Appearance.MIRRORED, lambda image: image[:, ::-1]),
            (Appearance.UPSIDE_DOWN, lambda image: image[::-1]),
            (Appearance.UPSIDE_DOWN, lambda image: image[::-1, ::-1]),
            (Appearance.SIDEWAYS, np.rot90),
            (Appearance.SIDEWAYS, lambda image: np.rot90(image, 3)),
            (Appearance.INVERTED, lambda image: 255 - image),
        ],
    )
    def test_one_that_is_laid_otherwise_is_not(
        self, phantom: NDArray[np.uint8], looks: Appearance, lay: object
    ) -> None:
        assert callable(lay)
        assert CHECK.look(grey(lay(phantom))).appearance in (looks, Appearance.UNSURE)

    @pytest.mark.parametrize("place", range(6))
    def test_a_lateral_one_is_lateral_and_not_read(self, place: int) -> None:
        sight = CHECK.look(grey(PHANTOMS.view(place, "LATERAL")))
        assert (sight.appearance, sight.zone) == (Appearance.LATERAL, Zone.REFUSED)

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_is_no_chest_is_never_frontal(self, kind: str) -> None:
        for seed in range(8):
            picture = KINDS[kind](np.random.default_rng([4711, seed]), 160)
            sight = CHECK.look(grey(picture))
            assert sight.appearance not in (Appearance.FRONTAL, Appearance.MIRRORED)
            assert sight.zone is not Zone.READ

    def test_the_one_real_chest_is_not_refused_and_its_mirror_image_not_called_frontal(self) -> None:
        chest = real("RG1_UNCR")
        assert CHECK.look(grey(chest)).zone is Zone.READ
        for changed in (np.fliplr(chest), np.flipud(chest), np.rot90(chest), 255 - chest):
            assert CHECK.look(grey(changed)).appearance is not Appearance.FRONTAL

    @pytest.mark.parametrize("name", ["RG3_UNCR", "MR2_UNCR", "693_UNCR", "CT_small"])
    def test_real_images_of_something_else_are_never_frontal(self, name: str) -> None:
        assert CHECK.look(grey(real(name))).zone is Zone.REFUSED


@pytest.mark.parametrize("content", [None, b"", b"\x10\0\0\0\0\0\0\0broken"])
def test_weights_that_cannot_be_used_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a usable view check"):
        ViewCheck.load(path)
