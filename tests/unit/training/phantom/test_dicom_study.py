"""The DICOM study: it reads back, and its headers agree with each other and with the case."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.selector import ChestImageSelector
from training.phantom.dataset import PhantomDataset
from training.phantom.dicom_study import MAX_SEED, Modality, Photometric, study_truth, views_of, write_study

KINDS: list[tuple[Modality, Photometric]] = [
    ("CR", "MONOCHROME1"),
    ("CR", "MONOCHROME2"),
    ("DX", "MONOCHROME1"),
]


def seed_of(view: str) -> int:
    return next(seed for seed in range(100) if study_truth(seed)[0].patient.view == view)


def test_a_usual_study_has_a_pa_and_a_lateral_in_two_series(tmp_path: Path) -> None:
    seed = seed_of("PA")
    pa, lateral = (pydicom.dcmread(path) for path in write_study(tmp_path, seed=seed, size=128))
    assert (pa.ViewPosition, lateral.ViewPosition) == ("PA", "LL")
    assert list(lateral.PatientOrientation) == ["P", "F"]
    for keyword in ("StudyInstanceUID", "StudyDescription", "PatientID", "PatientAge", "AccessionNumber"):
        assert pa[keyword].value == lateral[keyword].value
    assert pa.SeriesInstanceUID != lateral.SeriesInstanceUID
    assert (pa.SeriesNumber, lateral.SeriesNumber) == (1, 2)
    assert pa.StudyDescription == "Chest 2 view"


def test_a_portable_study_is_one_ap(tmp_path: Path) -> None:
    (path,) = write_study(tmp_path, seed=seed_of("AP"), size=128)
    instance = pydicom.dcmread(path)
    assert (instance.ViewPosition, instance.StudyDescription) == ("AP", "Chest AP portable")
    assert instance.SeriesDescription == "Chest AP portable"


def test_it_is_case_zero_of_the_seeds_data_set(tmp_path: Path) -> None:
    case = PhantomDataset(1, 12, 256)[0]
    assert study_truth(12) == (case.findings, case.report)
    instance = pydicom.dcmread(write_study(tmp_path, seed=12, size=256)[0])
    assert np.abs(instance.pixel_array * (255 / 4095) - case.image).max() <= 1
    patient = case.findings.patient
    assert (instance.PatientSex, instance.PatientAge) == (patient.sex, f"{patient.age:03d}Y")
    assert instance.ViewPosition == views_of(patient)[0]
    assert str(instance.PatientName).startswith("Phantom^")


def test_monochrome1_is_the_same_image_stored_inverted(tmp_path: Path) -> None:
    bright, inverted = (
        pydicom.dcmread(
            write_study(tmp_path, seed=4, size=128, modality="DX", photometric_interpretation=photometric)[0]
        )
        for photometric in ("MONOCHROME2", "MONOCHROME1")
    )
    np.testing.assert_array_equal(bright.pixel_array, 4095 - inverted.pixel_array)
    assert (bright.PresentationLUTShape, inverted.PresentationLUTShape) == ("IDENTITY", "INVERSE")
    assert bright.StudyInstanceUID == inverted.StudyInstanceUID


def test_the_same_arguments_give_the_same_files(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = ([path.read_bytes() for path in write_study(each, seed=5, size=128)] for each in folders)
    assert one == two


@pytest.mark.parametrize("view", ["PA", "AP"])
def test_a_node_reads_the_frontal_image_and_says_why_not_the_lateral(tmp_path: Path, view: str) -> None:
    paths = write_study(tmp_path, seed=seed_of(view), size=128, modality="DX")
    selection = ChestImageSelector().select([instance_from_file(path) for path in reversed(paths)])
    assert [(each.instance.path, each.view) for each in selection.images] == [(paths[0], view)]
    unread = ["a lateral view, not a frontal one"] if view == "PA" else []
    assert [each.reason for each in selection.unread] == unread


def test_views_can_be_chosen(tmp_path: Path) -> None:
    (path,) = write_study(tmp_path, seed=1, views=["LATERAL"], size=128)
    assert pydicom.dcmread(path).SeriesDescription == "Chest lateral"


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_that_does_not_fit_the_header_is_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(ValueError, match="does not fit the accession number"):
        write_study(tmp_path, seed=seed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.external
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize(("modality", "photometric"), KINDS)
@pytest.mark.parametrize("seed", [seed_of("PA"), seed_of("AP"), MAX_SEED])
def test_dciodvfy_finds_no_error(
    tmp_path: Path, modality: Modality, photometric: Photometric, seed: int
) -> None:
    for path in write_study(
        tmp_path, seed=seed, size=128, modality=modality, photometric_interpretation=photometric
    ):
        checked = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        assert "Error" not in checked.stderr + checked.stdout
