"""The phantom as a DICOM study: it reads back, is complete for its IOD, and is nobody's."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from training.phantom.dataset import PhantomDataset
from training.phantom.dicom_study import MAX_SEED, Modality, Photometric, _uid, study_truth, write_study

KINDS: list[tuple[Modality, Photometric]] = [
    ("CR", "MONOCHROME1"),
    ("CR", "MONOCHROME2"),
    ("DX", "MONOCHROME1"),
    ("DX", "MONOCHROME2"),
]


def written(
    directory: Path,
    seed: int,
    modality: Modality = "CR",
    photometric: Photometric = "MONOCHROME2",
    size: int = 256,
) -> FileDataset:
    (path,) = write_study(
        directory, seed=seed, size=size, modality=modality, photometric_interpretation=photometric
    )
    return pydicom.dcmread(path)


@pytest.mark.parametrize(("modality", "photometric"), KINDS)
def test_an_instance_reads_back(tmp_path: Path, modality: Modality, photometric: Photometric) -> None:
    instance = written(tmp_path, 3, modality, photometric)
    assert instance.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert instance.file_meta.MediaStorageSOPInstanceUID == instance.SOPInstanceUID
    assert (instance.Modality, instance.PhotometricInterpretation) == (modality, photometric)
    assert (instance.BitsAllocated, instance.BitsStored, instance.HighBit) == (16, 12, 11)
    pixels = instance.pixel_array
    assert pixels.shape == (256, 256)
    assert pixels.dtype == np.uint16
    assert pixels.max() <= 4095
    assert np.percentile(pixels, 95) - np.percentile(pixels, 5) > 1000


def test_each_modality_has_its_sop_class(tmp_path: Path) -> None:
    assert written(tmp_path, 1, "CR").SOPClassUID == ComputedRadiographyImageStorage
    assert written(tmp_path, 1, "DX").SOPClassUID == DigitalXRayImageStorageForPresentation


def test_it_shows_case_zero_of_the_seeds_data_set(tmp_path: Path) -> None:
    case = PhantomDataset(1, 12, 256)[0]
    assert study_truth(12) == (case.findings, case.report)
    shown = written(tmp_path, 12).pixel_array * (255 / 4095)
    assert np.abs(shown - case.image).max() <= 1


def test_monochrome1_is_the_same_image_stored_inverted(tmp_path: Path) -> None:
    bright, inverted = (written(tmp_path, 4, "DX", kind) for kind in ("MONOCHROME2", "MONOCHROME1"))
    np.testing.assert_array_equal(bright.pixel_array, 4095 - inverted.pixel_array)
    assert (bright.PresentationLUTShape, inverted.PresentationLUTShape) == ("IDENTITY", "INVERSE")
    assert (bright.PixelIntensityRelationshipSign, inverted.PixelIntensityRelationshipSign) == (-1, 1)


def test_the_header_says_chest_pa_and_that_nobody_is_meant(tmp_path: Path) -> None:
    instance = written(tmp_path, 77, "DX")
    assert str(instance.PatientName) == "Phantom^Chest"
    assert instance.PatientID == "PHANTOM-77"
    assert instance.AccessionNumber == "PHANTOM00000077"
    assert instance.StudyDescription == "Chest PA (phantom)"
    assert (instance.BodyPartExamined, instance.ViewPosition) == ("CHEST", "PA")
    assert list(instance.PatientOrientation) == ["L", "F"]
    assert instance.AnatomicRegionSequence[0].CodeMeaning == "Chest"
    assert instance.ViewCodeSequence[0].CodingSchemeDesignator == "SCT"
    assert (instance.WindowCenter, instance.WindowWidth) == (2048, 4096)


def test_the_detector_is_42_centimetres_at_any_size(tmp_path: Path) -> None:
    for size in (128, 300):
        instance = written(tmp_path, 1, size=size)
        assert float(instance.ImagerPixelSpacing[0]) * instance.Rows == pytest.approx(420, rel=1e-4)


def test_the_same_arguments_give_the_same_file(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = (write_study(folder, seed=5, size=128)[0].read_bytes() for folder in folders)
    assert one == two


def test_the_series_of_a_seed_share_one_study(tmp_path: Path) -> None:
    instances = [written(tmp_path, 6, modality, photometric, 128) for modality, photometric in KINDS]
    assert len({instance.StudyInstanceUID for instance in instances}) == 1
    assert len({instance.SeriesInstanceUID for instance in instances}) == len(KINDS)
    assert len({instance.SOPInstanceUID for instance in instances}) == len(KINDS)
    assert written(tmp_path, 7, size=128).StudyInstanceUID != instances[0].StudyInstanceUID


@settings(deadline=None)
@given(st.text(), st.text())
def test_uids_are_valid_and_under_2_25(kind: str, name: str) -> None:
    uid = _uid(kind, name)
    assert uid.is_valid
    assert uid.startswith("2.25.")
    assert len(uid) <= 64


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_that_does_not_fit_the_header_is_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(ValueError, match="does not fit the accession number"):
        write_study(tmp_path, seed=seed)
    assert list(tmp_path.iterdir()) == []


def test_the_largest_seed_keeps_values_within_their_representation(tmp_path: Path) -> None:
    instance = written(tmp_path, MAX_SEED, size=128)
    assert max(len(instance.AccessionNumber), len(instance.StudyID)) <= 16


@pytest.mark.external
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize(("modality", "photometric"), KINDS)
def test_dciodvfy_finds_no_error(tmp_path: Path, modality: Modality, photometric: Photometric) -> None:
    (path,) = write_study(
        tmp_path, seed=8, size=128, modality=modality, photometric_interpretation=photometric
    )
    checked = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    assert "Error" not in checked.stderr + checked.stdout
