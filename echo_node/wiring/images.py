"""What is read, put together: which image of a study, checked by its picture, and the pixels of it.

Part of the composition root, apart from roles/ because commands need it too.
"""

from __future__ import annotations

from dataclasses import dataclass

from echo_node.domain.ports import ImageSelector, PixelReader
from echo_node.domain.studies.study import Greyscale
from echo_node.settings import SelectionSettings


@dataclass(frozen=True, slots=True)
class ChestImages:
    """The way from a study's instances to the pixels of one.

    Attributes:
        selector: chooses the image.
        shown: reads it as a viewer shows it; what the selector has looked at is not decoded again.
    """

    selector: ImageSelector
    shown: PixelReader

    def reader(self, greyscale: Greyscale) -> PixelReader:
        """Return what reads the image as a model wants it."""
        from echo_node.dicom.image.pixels import DisplayedPixels

        return self.shown if greyscale is Greyscale.WINDOW else DisplayedPixels(greyscale)


def chest_images(settings: SelectionSettings) -> ChestImages:
    """Return the way by these settings.

    Raises:
        CheckpointError: the view check's weights are absent or broken.
    """
    from echo_node.dicom.image.pixels import DisplayedPixels, KeptPixels
    from echo_node.dicom.selection.selector import ChestImageSelector

    shown = KeptPixels(DisplayedPixels())
    if settings.view_check == "off":
        return ChestImages(ChestImageSelector(settings), shown)
    from echo_node.inference.view_check import ViewCheck

    return ChestImages(ChestImageSelector(settings, shown, ViewCheck.load()), shown)
