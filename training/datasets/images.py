"""From a file to the PNG that is kept, by the code that prepares images in service, and a hash to compare it.

Whatever the node does to a DICOM image (window, look-up table, collimator, orientation) happens here by the
same functions: a model trained on this sees in service what it saw in training.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from echo_node.dicom.library_settings import configure_libraries
from echo_node.dicom.selection.from_file import read_file
from echo_node.dicom.selection.rules import AP, FRONTAL, PA
from echo_node.dicom.selection.selector import EVERY_CHEST
from echo_node.domain.studies.study import GreyImage
from echo_node.errors import NotEligible, PermanentError
from echo_node.inference.image import read_picture

UNKNOWN = "unknown"
COARSE_BYTES, FINE_BYTES = 32, 128
"""What the two parts of an image's hash take."""

_COARSE_SIDE, _FINE_SIDE = 16, 32
_FRONTAL_VIEWS = {
    "PA": PA, "AP": AP, "FRONTAL": FRONTAL, "POSTEROANTERIOR": PA, "ANTEROPOSTERIOR": AP, "": UNKNOWN,
    "UNKNOWN": UNKNOWN,
}  # fmt: skip


def read_image(path: Path, view: str) -> tuple[GreyImage, str]:
    """Return the displayed image of a DICOM file or a picture, and its view.

    Args:
        path: told apart by their content.
        view: what the source says; empty where it says nothing. A DICOM header says it itself.

    Raises:
        NotEligible: it is not a frontal chest image.
        PermanentError: it cannot be read.
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
        return read_picture(path), stated
    configure_libraries()
    selection, image = read_file(path, EVERY_CHEST)
    return image, selection.primary.view


def frontal(view: str) -> str:
    """Return `PA`, `AP`, `frontal` or `unknown` for a source's word for the view.

    Raises:
        NotEligible: it is the word for another view.
    """
    word = "".join(letter for letter in view.upper() if letter.isalpha())
    if word not in _FRONTAL_VIEWS:
        raise NotEligible("not a frontal view")
    return _FRONTAL_VIEWS[word]


def encode_png(image: GreyImage, longest_side: int = 0) -> bytes:
    """Return the image as an 8-bit grey PNG, made smaller if it is longer than *longest_side* (0: never)."""
    picture = as_pillow(image)
    if longest_side and max(picture.size) > longest_side:
        picture.thumbnail((longest_side, longest_side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def decode_png(png: bytes) -> GreyImage:
    """Return the image of a PNG of this format.

    Raises:
        PermanentError: it is damaged.
    """
    try:
        with Image.open(io.BytesIO(png)) as picture:
            grey = picture.convert("L")
            return GreyImage(grey.width, grey.height, grey.tobytes())
    except (OSError, ValueError) as error:
        raise PermanentError(f"a picture of the data set is damaged ({type(error).__name__})") from error


def as_pillow(image: GreyImage) -> Image.Image:
    """Return the image as Pillow's."""
    return Image.frombytes("L", (image.width, image.height), image.pixels)


def image_hash(image: GreyImage) -> bytes:
    """Return 256 and 1,024 bits that change little with size, exposure and compression: difference hashes.

    Each bit says whether a cell of a grid is darker than its right neighbour. The coarse grid, of 16 by 17
    cells, finds an image among many; the fine one, of 32 by 33, tells chests apart that stand alike.
    """
    picture = as_pillow(image)
    return b"".join(_differences(picture, side) for side in (_COARSE_SIDE, _FINE_SIDE))


def _differences(picture: Image.Image, side: int) -> bytes:
    values = np.asarray(picture.resize((side + 1, side), Image.Resampling.BOX), dtype=np.int16)
    return np.packbits(values[:, :-1] < values[:, 1:]).tobytes()
