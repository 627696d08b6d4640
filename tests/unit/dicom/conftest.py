from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from echo_node.dicom.instance_file import instance_from_file
from echo_node.domain.studies.study import StoredInstance

Store = Callable[..., StoredInstance]


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """Return real files of pydicom and pydicom-data, offline."""

    def find(name: str) -> Path:
        found = get_testdata_file(f"{name}.dcm", download=False)
        assert isinstance(found, str), f"{name} is not installed: pip install pydicom-data"
        return Path(found)

    return find


def chest(pixels: NDArray[np.generic] | None = None, **attributes: object) -> Dataset:
    """Return a plain frontal chest CR; an attribute given as None is left out."""
    stored = np.arange(20 * 24, dtype=np.uint16).reshape(20, 24) if pixels is None else pixels
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID = ComputedRadiographyImageStorage
    image.SOPInstanceUID = "1.2.3.1"
    image.StudyInstanceUID = "1.2.3"
    image.SeriesInstanceUID = "1.2.3.0"
    image.Modality = "CR"
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    image.PatientName = "Doe^Jane"
    image.PatientID = "4711"
    image.PatientBirthDate = "19600102"
    image.PatientSex = "F"
    image.StudyDate = image.AcquisitionDate = "20260102"
    image.StudyTime = image.AcquisitionTime = "101500"
    image.StudyID = "S1"
    image.AccessionNumber = "A1"
    image.ReferringPhysicianName = "Referrer^R"
    image.BodyPartExamined = "CHEST"
    image.ViewPosition = "PA"
    image.PatientOrientation = ["L", "F"]
    image.InstanceNumber = 1
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = stored.shape
    image.BitsAllocated = 8 * stored.dtype.itemsize
    image.BitsStored = image.BitsAllocated
    image.HighBit = image.BitsAllocated - 1
    image.PixelRepresentation = int(np.issubdtype(stored.dtype, np.signedinteger))
    image.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    for keyword, value in attributes.items():
        if value is None:
            if keyword in image:
                delattr(image, keyword)
        else:
            setattr(image, keyword, value)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


@pytest.fixture
def make_chest() -> Callable[..., Dataset]:
    return chest


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    """Write a chest image with these attributes and return it as a stored instance."""
    count = 0

    def store(pixels: NDArray[np.generic] | None = None, **attributes: object) -> StoredInstance:
        nonlocal count
        count += 1
        attributes.setdefault("SOPInstanceUID", f"1.2.3.{count}")
        image = chest(pixels, **attributes)
        path = tmp_path / f"{count}.dcm"
        image.save_as(path, enforce_file_format=True, implicit_vr=False, little_endian=True)
        return instance_from_file(path)

    return store
