"""Chest radiographs of chosen bits, tables and windows, that hold every value there is."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

PLAIN = (12, 16, 11)
"""Bits stored, bits allocated, high bit of most detectors."""


def ramp(stored: int, allocated: int, high_bit: int) -> NDArray[np.int64]:
    """Return every value of *stored* bits once, as an unsigned one, in the shape of an image."""
    assert stored <= high_bit + 1 <= allocated
    return np.arange(1 << stored).reshape(-1, 256 if stored == 16 else max(16, 1 << ((stored + 1) // 2)))


def curve(entries: int, bits: int) -> list[int]:
    """Return a rising S from 0 to the greatest entry of so many bits."""
    s = 1 / (1 + np.exp(-np.linspace(-4, 4, entries)))
    entries_of_s: list[int] = np.rint((s - s[0]) / (s[-1] - s[0]) * (2**bits - 1)).astype(int).tolist()
    return entries_of_s


def lut(entries: list[int], first: int, bits: int, *, packed: bool = False, vr: str = "OW") -> Dataset:
    """Return an item of a LUT sequence, in little endian.

    Args:
        entries: at most 65,536, which the descriptor calls 0.
        first: the value that the first entry is for; a negative one makes the descriptor signed.
        bits: of an entry.
        packed: two 8-bit entries to a word.
        vr: OW, or US for a list of numbers.
    """
    item = Dataset()
    descriptor = [len(entries) % 65536, first, bits]
    if first < 0:
        descriptor = [each - 65536 if each > 32767 else each for each in descriptor]
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", descriptor)
    if vr == "US":
        data: object = entries
    elif packed:
        data = bytes(entries) + b"\0" * (len(entries) % 2)
    else:
        data = np.array(entries, dtype="<u2").tobytes()
    item.add_new("LUTData", vr, data)
    return item


def radiograph(
    values: NDArray[np.integer],
    layout: tuple[int, int, int] = PLAIN,
    *,
    is_signed: bool = False,
    **attributes: object,
) -> Dataset:
    """Return a frontal chest CR of these stored values; an attribute given as None is left out.

    Args:
        values: (H, W); of unsigned ones that do not fit a signed image, the bits are taken.
        layout: bits stored, bits allocated, high bit.
        is_signed: whether the values are.
        attributes: by keyword, over those that it has.
    """
    stored, allocated, high_bit = layout
    words = (values & ((1 << stored) - 1)) << (high_bit + 1 - stored)
    image = Dataset()
    image.SOPClassUID = ComputedRadiographyImageStorage
    image.SOPInstanceUID, image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3.1", "1.2.3", "1.2.3.0"
    image.Modality, image.ImageType = "CR", ["ORIGINAL", "PRIMARY"]
    image.PatientName, image.PatientID = "Doe^Jane", "4711"
    image.BodyPartExamined, image.ViewPosition, image.PatientOrientation = "CHEST", "PA", ["L", "F"]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = values.shape
    image.BitsStored, image.BitsAllocated, image.HighBit = layout
    image.PixelRepresentation = int(is_signed)
    held = words.astype(np.uint8 if allocated == 8 else "<u2").tobytes()
    image.add_new("PixelData", "OB" if allocated == 8 else "OW", held + b"\0" * (len(held) % 2))
    for keyword, value in attributes.items():
        if value is not None:
            setattr(image, keyword, value)
        elif keyword in image:
            delattr(image, keyword)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def write(path: Path, image: Dataset) -> Path:
    """Write the image in its transfer syntax; return the path."""
    image.save_as(path, enforce_file_format=True)
    return path
