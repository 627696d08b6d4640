"""Phantom cases as DICOM studies (CR, or DX For Presentation), for a node to receive and draft.

A study has one series per view: PA with or without a lateral, or a portable AP. The headers are
complete for their IOD, consistent, and recognisable as fictional. Source: PS3.3 A.2, A.26, C.8.1,
C.8.11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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

from training.phantom.dataset import case_generators
from training.phantom.findings import Findings, Patient, View
from training.phantom.language.grammar import PhantomReport, write_report
from training.phantom.language.phrasebook import Language
from training.phantom.prevalence import sample_findings
from training.phantom.rendering.radiograph import project

Modality = Literal["CR", "DX"]
Photometric = Literal["MONOCHROME1", "MONOCHROME2"]

MAX_SEED = 99_999_999
BITS_STORED = 12
DETECTOR_WIDTH_MM = 420.0

_LARGEST = 2**BITS_STORED - 1
_SOP_CLASSES = {"CR": ComputedRadiographyImageStorage, "DX": DigitalXRayImageStorageForPresentation}
_YEAR = 2025


@dataclass(frozen=True, slots=True)
class _ViewTerms:
    """Header values of a view; `view_position` is a Defined Term of the IOD."""

    description: str
    view_position: str
    orientation: tuple[str, str]
    code: Code
    kvp: int
    distance_mm: int


_VIEWS: dict[View, _ViewTerms] = {
    "PA": _ViewTerms("Chest PA", "PA", ("L", "F"), codes.cid4010.PosteroAnterior, 120, 1800),
    "AP": _ViewTerms("Chest AP portable", "AP", ("L", "F"), codes.cid4010.AnteroPosterior, 90, 1050),
    "LATERAL": _ViewTerms("Chest lateral", "LL", ("P", "F"), codes.cid4010.LeftLateral, 125, 1800),
}


def study_truth(seed: int, language: Language = "en") -> tuple[Findings, PhantomReport]:
    """Return findings and report of the study of a seed: case 0 of `PhantomDataset(1, seed)`."""
    rng = case_generators(seed, 0)
    findings = sample_findings(rng.findings)
    return findings, write_report(findings, rng.report, language)


def views_of(patient: Patient) -> tuple[View, ...]:
    """Return the usual views of a study; a portable study has no lateral view."""
    return ("AP",) if patient.view == "AP" else ("PA", "LATERAL")


def write_study(
    directory: Path,
    *,
    seed: int,
    views: Sequence[View] | None = None,
    size: int = 1024,
    modality: Modality = "CR",
    photometric_interpretation: Photometric = "MONOCHROME2",
) -> list[Path]:
    """Write the study of a seed into an existing folder. Return the paths of its instances.

    The same arguments give the same UIDs and pixels. Another modality or photometric interpretation
    gives another series of the same study. Images have 12 bits stored in 16, in Explicit VR Little
    Endian.

    Args:
        directory: existing folder.
        seed: seed of the study.
        views: views to write, one instance each; None writes the usual views of the case.
        size: side of the images, in pixels.
        modality: modality of the series.
        photometric_interpretation: photometric interpretation of the images.

    Raises:
        ValueError: `seed` is not in the range 0 to 99,999,999, or `size` is less than 128.
        OSError: the folder cannot be written to.
    """
    if not 0 <= seed <= MAX_SEED:
        message = f"seed {seed} does not fit the accession number: choose one from 0 to {MAX_SEED}"
        raise ValueError(message)
    findings, _ = study_truth(seed)
    views = views_of(findings.patient) if views is None else views
    paths = []
    for number, view in enumerate(views, 1):
        rendered = project(findings, case_generators(seed, 0).image, size, view)
        stored = np.rint(rendered * _LARGEST).astype("<u2")
        if photometric_interpretation == "MONOCHROME1":
            stored = (_LARGEST - stored).astype("<u2")
        instance = Dataset()
        _describe_patient_and_study(instance, seed, findings.patient, views)
        name = f"{seed} {size} {modality} {photometric_interpretation} {view}"
        _describe_series(instance, modality, view, number, name)
        _describe_image(instance, stored, photometric_interpretation, view)
        if modality == "DX":
            _describe_digital_x_ray(instance, photometric_interpretation, view)
        instance.file_meta = FileMetaDataset()
        instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = directory / f"phantom-{seed}-{view}-{modality}-{photometric_interpretation}.dcm"
        instance.save_as(path, enforce_file_format=True, little_endian=True, implicit_vr=False)
        paths.append(path)
    return paths


def _describe_patient_and_study(
    instance: Dataset, seed: int, patient: Patient, views: Sequence[View]
) -> None:
    date, time = f"{_YEAR}{1 + seed % 12:02d}{1 + seed % 28:02d}", f"{8 + seed % 10:02d}{seed % 60:02d}00"
    instance.SpecificCharacterSet = "ISO_IR 192"
    instance.PatientName = f"Phantom^{'Ada' if patient.sex == 'F' else 'Alan'}"
    instance.PatientID = f"PHANTOM-{seed}"
    instance.IssuerOfPatientID = "ECHO-NODE-PHANTOM"
    instance.PatientBirthDate = f"{_YEAR - patient.age}0101"
    instance.PatientSex = patient.sex
    instance.PatientAge = f"{patient.age:03d}Y"
    instance.StudyInstanceUID = _uid("study", str(seed))
    instance.StudyDate = instance.SeriesDate = instance.AcquisitionDate = instance.ContentDate = date
    instance.StudyTime = instance.SeriesTime = instance.AcquisitionTime = instance.ContentTime = time
    instance.ReferringPhysicianName = "Phantom^Referrer"
    instance.StudyID = f"P{seed}"
    instance.AccessionNumber = f"PHANTOM{seed:08d}"
    instance.StudyDescription = "Chest AP portable" if "AP" in views else f"Chest {len(views)} view"


def _describe_series(instance: Dataset, modality: Modality, view: View, number: int, name: str) -> None:
    terms = _VIEWS[view]
    instance.SOPClassUID = _SOP_CLASSES[modality]
    instance.SOPInstanceUID = _uid("instance", name)
    instance.SeriesInstanceUID = _uid("series", name)
    instance.Modality = modality
    instance.SeriesNumber = number
    instance.SeriesDescription = instance.ProtocolName = terms.description
    instance.BodyPartExamined = "CHEST"
    instance.ViewPosition = terms.view_position
    instance.Manufacturer = "echo-node project"
    instance.ManufacturerModelName = "Phantom chest"
    instance.InstitutionName = "Phantom Hospital"
    instance.StationName = "PORTABLE" if view == "AP" else "ROOM1"
    instance.DeviceSerialNumber = "PHANTOM-2" if view == "AP" else "PHANTOM-1"
    instance.SoftwareVersions = "2"


def _describe_image(
    instance: Dataset, stored: NDArray[np.uint16], photometric: Photometric, view: View
) -> None:
    terms = _VIEWS[view]
    instance.ImageType = ["ORIGINAL", "PRIMARY"]
    instance.InstanceNumber = 1
    instance.AcquisitionNumber = 1
    instance.PatientOrientation = list(terms.orientation)
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
    instance.KVP = terms.kvp
    instance.DistanceSourceToDetector = terms.distance_mm
    instance.PixelData = stored.tobytes()


def _describe_digital_x_ray(instance: Dataset, photometric: Photometric, view: View) -> None:
    inverted = photometric == "MONOCHROME1"
    instance.ImageType = ["ORIGINAL", "PRIMARY", ""]
    instance.PresentationIntentType = "FOR PRESENTATION"
    instance.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    instance.PixelIntensityRelationship = "LOG"
    # PS3.3 C.8.11.3.1.2: -1 if higher values mean less X-ray intensity, as when bone is bright.
    instance.PixelIntensityRelationshipSign = 1 if inverted else -1
    instance.ImageLaterality = "U"
    instance.AnatomicRegionSequence = [_code_item(codes.SCT.Chest)]
    code = _code_item(_VIEWS[view].code)
    code.ViewModifierCodeSequence = []
    instance.ViewCodeSequence = [code]
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
    """Return a UID under 2.25 (PS3.5 B.2) that depends only on the arguments."""
    digest = hashlib.sha256(f"echo-node phantom {kind} {name}".encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")
