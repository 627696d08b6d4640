"""Headers first: what the check of the picture may add to them, and what it may not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from echo_node.dicom.image.pixels import DisplayedPixels, PixelCache
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.studies.appearance import Appearance, Sight, Zone
from echo_node.domain.studies.study import GreyImage, SelectedImage, Selection, StoredInstance
from echo_node.errors import NotEligible, PermanentError
from echo_node.settings import SelectionSettings

Store = Callable[..., StoredInstance]

UNSTATED = {"ViewPosition": None, "PatientOrientation": None}
STANDS_IN_THE_WAY = {
    Appearance.UPSIDE_DOWN: "one that is upside down",
    Appearance.SIDEWAYS: "one that lies on its side",
    Appearance.INVERTED: "one with black and white exchanged",
    Appearance.LATERAL: "a lateral one",
    Appearance.NO_CHEST: "no chest",
}


ZONES = {
    Appearance.FRONTAL: Zone.READ,
    Appearance.MIRRORED: Zone.READ,
    Appearance.UNSURE: Zone.MARKED,
}
"""Zones of what may be read."""


class Sees:
    """A check that names a picture by its first grey value, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def look(self, image: GreyImage) -> Sight:
        self.asked.append(image.pixels[0])
        looks = list(Appearance)[image.pixels[0] // 16]
        zone = ZONES.get(looks, Zone.REFUSED)
        return Sight(looks, {Zone.READ: 0.99, Zone.MARKED: 0.5, Zone.REFUSED: 0.01}[zone], zone)


def picture(looks: Appearance) -> np.ndarray:
    """Return pixels whose first one, as shown, stands for *looks*."""
    pixels = np.full((16, 16), 16 * list(Appearance).index(looks), np.uint8)
    pixels[-1, -1], pixels[-1, 0] = 255, 0
    return pixels


class Selecting:
    def __init__(self, view_check: str) -> None:
        self.sees = Sees()
        settings = SelectionSettings.model_validate({"view_check": view_check})
        self._selector = ChestImageSelector(settings, DisplayedPixels(), self.sees)

    def __call__(self, *instances: StoredInstance) -> Selection:
        return self._selector.select(instances)


@pytest.fixture
def shows(stored: Store) -> Callable[..., StoredInstance]:
    """Write an image that looks like this to the check, with these attributes."""

    def make(looks: Appearance, **attributes: object) -> StoredInstance:
        return stored(picture(looks), WindowCenter=128, WindowWidth=256, **attributes)

    return make


@pytest.mark.parametrize("mode", ["refuse", "read"])
class TestAStatedView:
    @pytest.mark.parametrize("looks", [Appearance.FRONTAL, Appearance.UNSURE])
    def test_it_is_read_as_ever(self, shows: Store, mode: str, looks: Appearance) -> None:
        (image,) = Selecting(mode)(shows(looks, ViewPosition="AP")).images
        assert (image.view, image.is_view_stated, image.looks_mirrored) == ("AP", True, False)

    @pytest.mark.parametrize("looks", STANDS_IN_THE_WAY)
    def test_it_is_refused_for_what_the_check_is_sure_of(
        self, shows: Store, mode: str, looks: Appearance
    ) -> None:
        with pytest.raises(NotEligible) as refusal:
            Selecting(mode)(shows(looks))
        assert str(refusal.value) == (
            "the header says a frontal chest, but the view check takes the image for "
            + STANDS_IN_THE_WAY[looks]
        )

    def test_a_heart_on_the_other_side_is_a_remark_only(self, shows: Store, mode: str) -> None:
        (image,) = Selecting(mode)(shows(Appearance.MIRRORED)).images
        assert (image.view, image.is_view_stated, image.looks_mirrored) == ("PA", True, True)

    def test_the_next_image_is_read_where_the_best_is_refused(self, shows: Store, mode: str) -> None:
        best, next_best = shows(Appearance.LATERAL), shows(Appearance.FRONTAL, ViewPosition="AP")
        selection = Selecting(mode)(best, next_best)
        assert [image.instance for image in selection.images] == [next_best]
        assert [(each.identity, "lateral" in each.reason) for each in selection.unread] == [
            (best.identity, True)
        ]

    def test_only_what_would_be_read_is_looked_at(self, shows: Store, mode: str) -> None:
        selecting = Selecting(mode)
        selecting(
            shows(Appearance.FRONTAL),
            shows(Appearance.NO_CHEST, ViewPosition="AP"),
            shows(Appearance.NO_CHEST, BodyPartExamined="KNEE"),
            shows(Appearance.NO_CHEST, **UNSTATED),
        )
        assert len(selecting.sees.asked) == 1

    def test_an_image_that_cannot_be_decoded_is_a_failure_and_no_refusal(
        self, stored: Store, mode: str
    ) -> None:
        with pytest.raises(PermanentError, match="no pixel data"):
            Selecting(mode)(stored(PixelData=None))


@pytest.mark.parametrize("mode", ["refuse", "off"])
@pytest.mark.parametrize("looks", list(Appearance))
def test_an_unstated_view_is_recognised_only_where_that_is_asked_for(
    shows: Store, mode: str, looks: Appearance
) -> None:
    selecting = Selecting(mode)
    with pytest.raises(NotEligible) as refusal:
        selecting(shows(looks, **UNSTATED))
    assert str(refusal.value) == "the header does not state whether it is a frontal view"
    assert selecting.sees.asked == []


def test_off_means_that_nothing_is_looked_at(shows: Store) -> None:
    selecting = Selecting("off")
    assert selecting(shows(Appearance.NO_CHEST)).images
    assert selecting.sees.asked == []


class TestAnUnstatedViewWithRead:
    def test_a_clearly_frontal_image_is_read_and_that_is_told(self, shows: Store) -> None:
        (image,) = Selecting("read")(shows(Appearance.FRONTAL, **UNSTATED)).images
        assert (image.view, image.is_view_stated) == ("frontal", False)

    @pytest.mark.parametrize("looks", [each for each in Appearance if each is not Appearance.FRONTAL])
    def test_every_other_is_refused(self, shows: Store, looks: Appearance) -> None:
        with pytest.raises(NotEligible, match=r"does not state whether .*, and the view check") as refusal:
            Selecting("read")(shows(looks, **UNSTATED))
        expected = {**STANDS_IN_THE_WAY, Appearance.MIRRORED: "a mirrored one"}.get(looks, "is not sure")
        assert expected in str(refusal.value)

    @pytest.mark.parametrize(
        ("attributes", "reason"),
        [
            ({"BodyPartExamined": ""}, "which body part"),
            ({"BodyPartExamined": "HAND"}, "wrong body part"),
            ({"ViewPosition": "LL"}, "a lateral view"),
            ({"ViewPosition": "XTABLE"}, "not a frontal one"),
            ({"PatientOrientation": ["A", "F"]}, "a lateral view"),
            ({"SeriesDescription": "Chest lateral"}, "a lateral view"),
            ({"FieldOfViewHorizontalFlip": "YES"}, "rotated or flipped"),
            ({"Laterality": "L"}, "names one side"),
            ({"PatientAge": "004Y"}, "younger"),
        ],
    )
    def test_no_picture_overrules_what_a_header_says(
        self, shows: Store, attributes: dict[str, object], reason: str
    ) -> None:
        selecting = Selecting("read")
        with pytest.raises(NotEligible, match=reason):
            selecting(shows(Appearance.FRONTAL, **{**UNSTATED, **attributes}))
        assert selecting.sees.asked == []

    def test_an_image_whose_header_states_its_view_comes_first(self, shows: Store) -> None:
        newer = shows(Appearance.FRONTAL, **UNSTATED, AcquisitionTime="120000")
        stated = shows(Appearance.FRONTAL, ViewPosition="AP", AcquisitionTime="080000")
        for order in ([newer, stated], [stated, newer]):
            selection = Selecting("read")(*order)
            assert [image.instance for image in selection.images] == [stated]
            assert [each.reason for each in selection.unread] == [
                "the header does not state whether it is a frontal view"
            ]

    def test_one_that_cannot_be_decoded_is_left_and_the_other_read(self, shows: Store, stored: Store) -> None:
        broken = stored(PixelData=None, **UNSTATED, AcquisitionTime="120000")
        whole = shows(Appearance.FRONTAL, **UNSTATED)
        selection = Selecting("read")(broken, whole)
        assert [image.instance for image in selection.images] == [whole]
        assert "no pixel data" in selection.unread[0].reason


def test_what_was_looked_at_is_not_decoded_again_and_not_kept_longer(stored: Store) -> None:
    class Counting(DisplayedPixels):
        count = 0

        def read(self, image: SelectedImage) -> GreyImage:
            self.count += 1
            return super().read(image)

    counting, first, second = Counting(), stored(), stored(np.full((16, 24), 9, np.uint8))
    kept = PixelCache(counting)
    (by_selector,) = ChestImageSelector(SelectionSettings(), kept, Sees()).select([first]).images
    assert (kept.read(by_selector), counting.count) == (DisplayedPixels().read(by_selector), 1)
    kept.read(by_selector)
    other = SelectedImage(second, "PA")
    assert (kept.read(other), counting.count) == (DisplayedPixels().read(other), 3)
