"""Composition of selector, identity check, view check and pixel reader.

Part of the composition root, apart from roles/ because commands need it too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from echo_node.dicom.selection.headers import StudyHeaders
from echo_node.domain.ports import AppearanceCheck, ConflictFinder, ImageSelector, PixelReader
from echo_node.domain.studies.identity import OnConflict
from echo_node.domain.studies.study import Greyscale
from echo_node.settings import Peer, SelectionSettings
from echo_node.wiring.conflicts import on_conflict_of


@dataclass(frozen=True, slots=True)
class ChestImages:
    """Everything that leads from a study's instances to the pixels of one image.

    Attributes:
        selector: chooses the image.
        shown: reads the image as a viewer shows it, and decodes it once for view check and model.
        headers: reads each header once for identity check and selector.
        listed: AE titles of the configured peers, whose Key Objects can reject images.
        on_conflict: function from a calling AE title to its peer's `on_conflict`.
    """

    selector: ImageSelector
    shown: PixelReader
    headers: StudyHeaders
    listed: Collection[str] = ()
    on_conflict: Callable[[str], OnConflict] = lambda _: OnConflict.HOLD

    def reader(self, greyscale: Greyscale) -> PixelReader:
        """Return a reader that makes grey values as a model needs them."""
        from echo_node.dicom.image.pixels import DisplayedPixels

        return self.shown if greyscale is Greyscale.WINDOW else DisplayedPixels(greyscale)

    def identity_check(self, *, orders: bool) -> ConflictFinder:
        """Return a check that everything in a study is of one patient and of its draft's orders.

        Args:
            orders: whether another order than the draft's in a late image is a conflict too.
        """
        from echo_node.dicom.selection.patient_identity import IdentityWatch

        return IdentityWatch(
            orders=orders, headers=self.headers, on_conflict=self.on_conflict, listed=self.listed
        )


def chest_images(
    settings: SelectionSettings,
    peers: Collection[Peer] = (),
    character_set_of: Callable[[str], Sequence[str]] = lambda _: (),
) -> ChestImages:
    """Return the composition for these settings.

    Args:
        settings: restrictions on the image to read.
        peers: the configured peers. Their Key Objects can reject images, `body_part` of some is the
            chest, and each has its `on_conflict`.
        character_set_of: function from a calling AE title to the Specific Character Set of its
            objects that state none.

    Raises:
        CheckpointError: the view check's weights are absent or broken.
    """
    from echo_node.dicom.image.pixels import DisplayedPixels, PixelCache
    from echo_node.dicom.selection.selector import ChestImageSelector

    headers, shown = StudyHeaders(character_set_of), PixelCache(DisplayedPixels())
    listed, on_conflict = frozenset(peer.ae_title for peer in peers), on_conflict_of(peers)
    chest_senders = frozenset(peer.ae_title for peer in peers if peer.body_part == "CHEST")
    selector = ChestImageSelector(settings, shown, _view_check(settings), headers, listed, chest_senders)
    return ChestImages(selector, shown, headers, listed, on_conflict)


def _view_check(settings: SelectionSettings) -> AppearanceCheck | None:
    if settings.view_check == "off":
        return None
    from echo_node.inference.view_check import ViewCheck

    return ViewCheck.load()
