"""Images of data sets: reading of files, the stored PNG, and a perceptual hash.

DICOM images are prepared by the same functions as in the node (window, look-up table, collimator,
orientation), so that a model sees the same kind of image in service as in training.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from echo_node.dicom.library_settings import configure_libraries
from echo_node.dicom.selection.from_file import read_chest_image
from echo_node.dicom.selection.rules import AP, FRONTAL, PA
from echo_node.dicom.selection.selector import EVERY_CHEST
from echo_node.domain.studies.study import GreyImage
from echo_node.errors import NotEligible, PermanentError
from echo_node.inference.image import read_image_file

UNKNOWN = "unknown"
COARSE_BYTES, FINE_BYTES = 32, 128
"""Sizes of the two parts of an image hash, in bytes."""

_COARSE_SIDE, _FINE_SIDE = 16, 32
_FRONTAL_VIEWS = {
    "PA": PA, "AP": AP, "FRONTAL": FRONTAL, "POSTEROANTERIOR": PA, "ANTEROPOSTERIOR": AP, "": UNKNOWN,
    "UNKNOWN": UNKNOWN,
}  # fmt: skip


def read_image(path: Path, view: str) -> tuple[GreyImage, str]:
    """Return the displayed image of a file, and its view.

    Args:
        path: a DICOM file or an image in another format; the content decides which.
        view: view that the source states; may be empty. It is not used for DICOM, whose header
            states it.

    Raises:
        NotEligible: the file is not a frontal chest image.
        PermanentError: the file cannot be read.
    """
    stated = frontal(view)
    try:
        with path.open("rb") as file:
            is_dicom = file.read(132)[128:] == b"DICM"
    except FileNotFoundError:
        raise PermanentError("the image file is missing") from None
    except OSError as error:
        raise PermanentError(f"the image file cannot be read: {error.strerror}") from error
    if not is_dicom:
        return read_image_file(path), stated
    configure_libraries()
    selection, image = read_chest_image(path, EVERY_CHEST)
    return image, selection.primary.view


def frontal(view: str) -> str:
    """Return `PA`, `AP`, `frontal` or `unknown` for the word that a source uses for the view.

    Raises:
        NotEligible: the word is for another view.
    """
    word = "".join(letter for letter in view.upper() if letter.isalpha())
    if word not in _FRONTAL_VIEWS:
        raise NotEligible("not a frontal view")
    return _FRONTAL_VIEWS[word]


def encode_png(image: GreyImage, longest_side: int = 0) -> bytes:
    """Return the image as an 8-bit PNG, reduced to at most *longest_side* pixels (0: full size)."""
    scaled = as_pillow(image)
    if longest_side and max(scaled.size) > longest_side:
        scaled.thumbnail((longest_side, longest_side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    scaled.save(buffer, "PNG")
    return buffer.getvalue()


def decode_png(png: bytes) -> GreyImage:
    """Return the image of a stored PNG.

    Raises:
        PermanentError: the PNG is damaged.
    """
    try:
        with Image.open(io.BytesIO(png)) as image:
            grey = image.convert("L")
            return GreyImage(grey.width, grey.height, grey.tobytes())
    except (OSError, ValueError) as error:
        raise PermanentError(f"an image of the data set is damaged ({type(error).__name__})") from error


def as_pillow(image: GreyImage) -> Image.Image:
    """Return the image as a Pillow image."""
    return Image.frombytes("L", (image.width, image.height), image.pixels)


def image_hash(image: GreyImage) -> bytes:
    """Return two difference hashes, of 256 and 1,024 bits.

    They change little with size, exposure and compression. Each bit states whether a cell of a grid
    is darker than its right neighbour. The coarse grid, of 16 by 17 cells, finds an image among
    many; the fine grid, of 32 by 33 cells, distinguishes chests in the same position.
    """
    displayed = as_pillow(image)
    return b"".join(_differences(displayed, side) for side in (_COARSE_SIDE, _FINE_SIDE))


def _differences(image: Image.Image, side: int) -> bytes:
    values = np.asarray(image.resize((side + 1, side), Image.Resampling.BOX), dtype=np.int16)
    return np.packbits(values[:, :-1] < values[:, 1:]).tobytes()
