"""Writes a phantom as a DICOM study (CR, or DX For Presentation) for a node to receive and draft on.

The header is complete for its IOD and plainly fictional. The study of a seed shows case 0 of
`PhantomDataset(1, seed)`, so `study_truth` knows what a draft should say. Source: PS3.3 A.2, A.26, C.8.11.
"""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from training.phantom.dataset import PhantomDataset, case_generators
from training.phantom.findings import Findings, sample_findings
from training.phantom.grammar import PhantomReport
from training.phantom.radiograph import project

Modality = Literal["CR", "DX"]
Photometric = Literal["MONOCHROME1", "MONOCHROME2"]

MAX_SEED = 99_999_999
BITS_STORED = 12
DETECTOR_WIDTH_MM = 420.0

_STUDY_DATE, _STUDY_TIME = "20250102", "101500"
_LARGEST = 2**BITS_STORED - 1
_SOP_CLASSES = {"CR": ComputedRadiographyImageStorage, "DX": DigitalXRayImageStorageForPresentation}


def study_truth(seed: int) -> tuple[Findings, PhantomReport]:
    """Return what the study of this seed shows, and a report of it."""
    return PhantomDataset(1, seed).truth(0)


def write_study(
    directory: Path,
    *,
    seed: int,
    size: int = 1024,
    modality: Modality = "CR",
    photometric_interpretation: Photometric = "MONOCHROME2",
) -> list[Path]:
    """Write the study of a seed into an existing folder; return the paths of its instances (one).

    The image is (size, size), 12 bits stored in 16, Explicit VR Little Endian. The same arguments give the
    same UIDs and pixels; another modality or photometric interpretation is another series of the study.

    Raises:
        ValueError: `seed` is not in 0 to 99,999,999, or `size` is under 128.
        OSError: the folder cannot be written to.
    """
    if not 0 <= seed <= MAX_SEED:
        message = f"seed {seed} does not fit the accession number: choose one from 0 to {MAX_SEED}"
        raise ValueError(message)
    stored = _stored_values(seed, size, photometric_interpretation)
    instance = Dataset()
    _describe_patient_and_study(instance, seed)
    _describe_series(instance, modality, f"{seed} {size} {modality} {photometric_interpretation}")
    _describe_image(instance, stored, photometric_interpretation)
    if modality == "DX":
        _describe_digital_x_ray(instance, photometric_interpretation)
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = directory / f"phantom-{seed}-{modality}-{photometric_interpretation}.dcm"
    instance.save_as(path, enforce_file_format=True, little_endian=True, implicit_vr=False)
    return [path]


def _stored_values(seed: int, size: int, photometric: Photometric) -> NDArray[np.uint16]:
    rng = case_generators(seed, 0)
    bright = np.rint(project(sample_findings(rng.findings), rng.image, size) * _LARGEST).astype("<u2")
    return bright if photometric == "MONOCHROME2" else np.asarray(_LARGEST - bright, dtype="<u2")


def _describe_patient_and_study(instance: Dataset, seed: int) -> None:
    instance.SpecificCharacterSet = "ISO_IR 192"
    instance.PatientName = "Phantom^Chest"
    instance.PatientID = f"PHANTOM-{seed}"
    instance.IssuerOfPatientID = "ECHO-NODE-PHANTOM"
    instance.PatientBirthDate = "19600101"
    instance.PatientSex = "O"
    instance.PatientAge = "065Y"
    instance.StudyInstanceUID = _uid("study", str(seed))
    instance.StudyDate = instance.SeriesDate = instance.AcquisitionDate = instance.ContentDate = _STUDY_DATE
    instance.StudyTime = instance.SeriesTime = instance.AcquisitionTime = instance.ContentTime = _STUDY_TIME
    instance.ReferringPhysicianName = "Phantom^Referrer"
    instance.StudyID = f"P{seed}"
    instance.AccessionNumber = f"PHANTOM{seed:08d}"
    instance.StudyDescription = "Chest PA (phantom)"


def _describe_series(instance: Dataset, modality: Modality, name: str) -> None:
    instance.SOPClassUID = _SOP_CLASSES[modality]
    instance.SOPInstanceUID = _uid("instance", name)
    instance.SeriesInstanceUID = _uid("series", name)
    instance.Modality = modality
    instance.SeriesNumber = 1
    instance.SeriesDescription = "Chest PA (phantom)"
    instance.ProtocolName = "Chest PA"
    instance.BodyPartExamined = "CHEST"
    instance.ViewPosition = "PA"
    instance.Manufacturer = "echo-node project"
    instance.ManufacturerModelName = "Phantom chest generator"
    instance.InstitutionName = "Phantom Hospital"
    instance.StationName = "PHANTOM"
    instance.DeviceSerialNumber = "PHANTOM-1"
    instance.SoftwareVersions = "1"


def _describe_image(instance: Dataset, stored: NDArray[np.uint16], photometric: Photometric) -> None:
    instance.ImageType = ["ORIGINAL", "PRIMARY"]
    instance.InstanceNumber = 1
    instance.AcquisitionNumber = 1
    instance.PatientOrientation = ["L", "F"]
    instance.BurnedInAnnotation = "NO"
    instance.LossyImageCompression = "00"
    instance.ImageComments = "Computer-made phantom. No patient."
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = photometric
    instance.Rows, instance.Columns = stored.shape
    instance.BitsAllocated = 16
    instance.BitsStored = BITS_STORED
    instance.HighBit = BITS_STORED - 1
    instance.PixelRepresentation = 0
    instance.ImagerPixelSpacing = [round(DETECTOR_WIDTH_MM / side, 6) for side in stored.shape]
    instance.WindowCenter = (_LARGEST + 1) // 2
    instance.WindowWidth = _LARGEST + 1
    instance.WindowCenterWidthExplanation = "FULL RANGE"
    instance.RescaleIntercept = 0
    instance.RescaleSlope = 1
    instance.RescaleType = "US"
    instance.KVP = 120
    instance.PixelData = stored.tobytes()


def _describe_digital_x_ray(instance: Dataset, photometric: Photometric) -> None:
    inverted = photometric == "MONOCHROME1"
    instance.ImageType = ["ORIGINAL", "PRIMARY", ""]
    instance.PresentationIntentType = "FOR PRESENTATION"
    instance.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    instance.PixelIntensityRelationship = "LOG"
    # PS3.3 C.8.11.3.1.2: -1 where a higher value means less X-ray intensity, as where bone is stored bright.
    instance.PixelIntensityRelationshipSign = 1 if inverted else -1
    instance.ImageLaterality = "U"
    instance.AnatomicRegionSequence = [_code_item(codes.SCT.Chest)]
    view = _code_item(codes.cid4010.PosteroAnterior)
    view.ViewModifierCodeSequence = []
    instance.ViewCodeSequence = [view]
    instance.PositionerType = "NONE"
    instance.DetectorType = "DIRECT"
    instance.DetectorID = "PHANTOM-DETECTOR"
    instance.AcquisitionContextSequence = []


def _code_item(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def _uid(kind: str, name: str) -> UID:
    """Return a UID under 2.25 (PS3.5 B.2) that depends on its arguments alone."""
    digest = hashlib.sha256(f"echo-node phantom {kind} {name}".encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")
