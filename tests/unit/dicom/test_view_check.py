"""Headers first: what the check of the picture may add to them, and what it may not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import pytest

from echo_node.dicom.image.pixels import DisplayedPixels, PixelCache
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.studies.appearance import Appearance, Sight, Zone
from echo_node.domain.studies.study import GreyImage, SelectedImage, Selection, StoredInstance
from echo_node.errors import MustBeHeld, NotEligible, PermanentError
from echo_node.settings import SelectionSettings

Store = Callable[..., StoredInstance]

UNSTATED = {"ViewPosition": None, "PatientOrientation": None}
STANDS_IN_THE_WAY = {
    Appearance.UPSIDE_DOWN: "one that is upside down",
    Appearance.SIDEWAYS: "one that lies on its side",
    Appearance.INVERTED: "one with black and white exchanged",
    Appearance.LATERAL: "a lateral one",
    Appearance.OBLIQUE: "an oblique one",
    Appearance.DECUBITUS: "a decubitus one",
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
    pixels[-1, 1:], pixels[-1, 0] = 255, 0
    return pixels


class Selecting:
    def __init__(
        self, view_check: str, chest_senders: Collection[str] = (), companions: str = "skip"
    ) -> None:
        self.sees = Sees()
        settings = SelectionSettings.model_validate({"view_check": view_check, "companions": companions})
        self._selector = ChestImageSelector(
            settings, DisplayedPixels(), self.sees, chest_senders=chest_senders
        )

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

    def test_what_the_check_is_not_sure_of_is_marked(self, shows: Store, mode: str) -> None:
        for looks in (Appearance.FRONTAL, Appearance.UNSURE):
            (image,) = Selecting(mode)(shows(looks)).images
            assert image.looks_doubtful is (looks is Appearance.UNSURE)
            assert image.kind.sight is not None
            assert image.kind.sight.appearance is looks

    def test_among_several_the_picture_decides(self, shows: Store, mode: str) -> None:
        best = shows(Appearance.UNSURE, AcquisitionTime="120000")
        clear = shows(Appearance.FRONTAL, ViewPosition="AP")
        for order in ([best, clear], [clear, best]):
            selection = Selecting(mode)(*order)
            assert [image.instance for image in selection.images] == [clear]
            assert [each.reason for each in selection.unread] == [
                "an image of the study that is more clearly frontal was read"
            ]

    def test_the_best_by_its_header_is_read_if_none_is_clear(self, shows: Store, mode: str) -> None:
        best, other = shows(Appearance.UNSURE), shows(Appearance.UNSURE, ViewPosition="AP")
        selection = Selecting(mode)(other, best)
        assert [(each.instance, each.looks_doubtful) for each in selection.images] == [(best, True)]
        assert [each.reason for each in selection.unread] == ["the PA view of the study was read"]

    def test_a_clear_companion_does_not_replace_a_doubtful_standard_image(
        self, shows: Store, mode: str
    ) -> None:
        standard = shows(Appearance.UNSURE)
        expired = shows(Appearance.FRONTAL, SeriesDescription="Chest expiration", AcquisitionTime="120000")
        selecting = Selecting(mode, companions="read")
        selection = selecting(standard, expired)
        assert [image.instance for image in selection.images] == [standard]
        assert [each.reason for each in selection.unread] == ["a standard image of the study was read"]
        assert len(selecting.sees.asked) == 1

    def test_only_the_best_images_are_looked_at(self, shows: Store, mode: str) -> None:
        selecting = Selecting(mode)
        with pytest.raises(NotEligible, match=r"a lateral one \(8 images\); the view check looked at the 8"):
            selecting(*(shows(Appearance.LATERAL) for _ in range(9)))
        assert len(selecting.sees.asked) == 8

    def test_one_that_cannot_be_decoded_does_not_prevent_a_doubtful_one(
        self, shows: Store, stored: Store, mode: str
    ) -> None:
        doubtful, broken = shows(Appearance.UNSURE), stored(PixelData=None, ViewPosition="AP")
        selection = Selecting(mode)(doubtful, broken)
        assert [image.instance for image in selection.images] == [doubtful]
        assert "no pixel data" in selection.unread[0].reason

    def test_every_image_is_named_with_what_it_is(self, shows: Store, mode: str) -> None:
        images = [
            shows(Appearance.FRONTAL),
            shows(Appearance.LATERAL, ViewPosition="LL"),
            shows(Appearance.LATERAL, AcquisitionTime="120000"),
            shows(Appearance.FRONTAL, ImageType=["DERIVED", "PRIMARY", "", "BONE"]),
        ]
        candidates = {each.identity: each for each in Selecting(mode)(*images).candidates}
        kinds = [candidates[each.identity].kind for each in images]
        assert [each.view for each in kinds] == ["PA", "lateral", "PA", "PA"]
        assert [each.companion for each in kinds] == ["", "", "", "bone"]
        seen = [each.sight.appearance if each.sight else None for each in kinds]
        assert seen == [Appearance.FRONTAL, None, Appearance.LATERAL, None]
        assert [bool(candidates[each.identity].reason) for each in images] == [False, True, True, True]

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


class TestASenderOfChestImages:
    UNTOLD = {**UNSTATED, "BodyPartExamined": None}  # noqa: RUF012

    @pytest.fixture
    def sent(self, shows: Store) -> Callable[..., StoredInstance]:
        def make(looks: Appearance, title: str = "CHEST_ROOM", **attributes: object) -> StoredInstance:
            return replace(shows(looks, **attributes), calling_ae_title=title)

        return make

    def test_an_image_that_states_nothing_is_read_if_it_is_clearly_frontal(self, sent: Store) -> None:
        (image,) = Selecting("refuse", ["CHEST_ROOM"])(sent(Appearance.FRONTAL, **self.UNTOLD)).images
        assert (image.view, image.is_view_stated, image.is_body_part_stated) == ("frontal", False, False)
        assert not image.looks_doubtful

    @pytest.mark.parametrize("missing", ["view", "body part"])
    def test_one_of_the_two_may_be_missing_too(self, sent: Store, missing: str) -> None:
        attributes = UNSTATED if missing == "view" else {"BodyPartExamined": None}
        (image,) = Selecting("refuse", ["CHEST_ROOM"])(sent(Appearance.FRONTAL, **attributes)).images
        assert image.is_view_stated is (missing != "view")
        assert image.is_body_part_stated is (missing != "body part")

    @pytest.mark.parametrize("looks", [each for each in Appearance if each is not Appearance.FRONTAL])
    def test_every_other_is_refused(self, sent: Store, looks: Appearance) -> None:
        with pytest.raises(NotEligible, match="and the view check"):
            Selecting("refuse", ["CHEST_ROOM"])(sent(looks, **self.UNTOLD))

    def test_other_senders_and_no_check_change_nothing(self, sent: Store) -> None:
        for selecting, title in (
            (Selecting("refuse", ["CHEST_ROOM"]), "OTHER"),
            (Selecting("refuse", ["CHEST_ROOM"]), ""),
            (Selecting("off", ["CHEST_ROOM"]), "CHEST_ROOM"),
        ):
            with pytest.raises(NotEligible, match="does not say which body part"):
                selecting(sent(Appearance.FRONTAL, title, **self.UNTOLD))

    def test_another_body_part_or_view_in_the_header_is_still_refused(self, sent: Store) -> None:
        for attributes, reason in (
            ({**self.UNTOLD, "SeriesDescription": "hand"}, "wrong body part"),
            ({**self.UNTOLD, "ViewPosition": "LL"}, "a lateral view"),
        ):
            with pytest.raises(NotEligible, match=reason):
                Selecting("refuse", ["CHEST_ROOM"])(sent(Appearance.FRONTAL, **attributes))

    def test_an_image_with_a_header_comes_first(self, sent: Store) -> None:
        bare, whole = sent(Appearance.FRONTAL, **self.UNTOLD), sent(Appearance.FRONTAL, ViewPosition="AP")
        selection = Selecting("refuse", ["CHEST_ROOM"])(bare, whole)
        assert [image.instance for image in selection.images] == [whole]
        assert selection.unread[0].reason == "the header does not say which body part is shown"


def test_what_was_looked_at_is_not_decoded_again_and_not_kept_longer(stored: Store) -> None:
    class Counting(DisplayedPixels):
        count = 0

        def read(self, image: SelectedImage) -> GreyImage:
            self.count += 1
            return super().read(image)

    counting, first, second = Counting(), stored(), stored(np.eye(16, 24, dtype=np.uint8))
    kept = PixelCache(counting)
    (by_selector,) = ChestImageSelector(SelectionSettings(), kept, Sees()).select([first]).images
    assert (kept.read(by_selector), counting.count) == (DisplayedPixels().read(by_selector), 1)
    kept.read(by_selector)
    other = SelectedImage(second, "PA")
    assert (kept.read(other), counting.count) == (DisplayedPixels().read(other), 3)


def test_an_identifier_that_cannot_be_written_holds_a_study_without_a_view(shows: Store) -> None:
    image = shows(Appearance.FRONTAL, **UNSTATED, PatientID="47" * 40)
    with pytest.raises(MustBeHeld, match="PatientID"):
        Selecting("read")(image)


@pytest.mark.parametrize("mode", ["off", "refuse", "read"])
class TestAnImageThatShowsNothing:
    def test_it_is_skipped_with_the_reason(self, stored: Store, mode: str) -> None:
        blank = stored(np.full((20, 24), 700, np.uint16))
        with pytest.raises(NotEligible) as refusal:
            Selecting(mode)(blank)
        assert str(refusal.value) == "the image shows nothing: nearly all of its pixels have one value"

    def test_another_image_of_the_study_is_read_instead(self, stored: Store, shows: Store, mode: str) -> None:
        blank = stored(np.full((20, 24), 700, np.uint16), AcquisitionTime="235900")
        other = shows(Appearance.FRONTAL, ViewPosition="AP")
        selection = Selecting(mode)(blank, other)
        assert [image.instance for image in selection.images] == [other]
        assert [each.identity for each in selection.unread] == [blank.identity]
        assert selection.unread[0].reason.startswith("the image shows nothing")
