"""The chest image of one DICOM file from anywhere, by the rules for a received study."""

from __future__ import annotations

from pathlib import Path

from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.selector import DEFAULTS, ChestImageSelector
from echo_node.domain.studies.study import GreyImage, Greyscale, Selection
from echo_node.settings import SelectionSettings


def select_file(path: Path, settings: SelectionSettings = DEFAULTS) -> Selection:
    """Return the chest image in one DICOM file from anywhere, by the rules for a received study.

    Args:
        path: the file.
        settings: further restrictions.

    Raises:
        NotEligible: the image may not be read; the message is the reason.
        PermanentError: it is not a whole DICOM file.
    """
    return ChestImageSelector(settings).select([instance_from_file(path)])


def read_chest_image(
    path: Path, settings: SelectionSettings = DEFAULTS, greyscale: Greyscale = Greyscale.WINDOW
) -> tuple[Selection, GreyImage]:
    """Return the selection of one DICOM file from anywhere, and the grey values of its image.

    Args:
        path: the file.
        settings: further restrictions.
        greyscale: mapping to grey values.

    Raises:
        NotEligible: the image may not be read; the message is the reason.
        PermanentError: it is not a whole DICOM file, or its pixel data cannot be decoded.
    """
    selection = select_file(path, settings)
    return selection, DisplayedPixels(greyscale).read(selection.primary)
