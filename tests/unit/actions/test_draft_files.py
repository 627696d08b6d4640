"""Drafts of image files: each file has its own result, and only a frontal chest needs the model."""

from pathlib import Path

import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from echo_node.actions.draft_files import FileDrafter
from echo_node.errors import CheckpointError
from echo_node.settings import DocumentKind, ModelSettings, Settings
from training.phantom.dicom_study import write_study


@pytest.fixture
def drafter() -> FileDrafter:
    """A drafter whose model does not exist: a file that needs it cannot be drafted."""
    return FileDrafter(Settings(model=ModelSettings(name="not-there")), DocumentKind.BASIC_TEXT_SR)


def test_a_leg_is_skipped_with_the_reason(drafter: FileDrafter) -> None:
    sample = get_testdata_file("RG3_UNCR.dcm", download=False)
    assert isinstance(sample, str), "pip install pydicom-data"
    result = drafter.draft(Path(sample))
    assert result.skipped == "wrong body part: the header says EXTREMITY, not chest"
    assert (result.report, result.error) == (None, None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no DICOM at all\n", "neither a DICOM file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), ""),
        (None, "the file cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_of_its_own(
    drafter: FileDrafter, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    result = drafter.draft(file)
    assert (result.report, result.skipped) == (None, None)
    assert result.error is not None
    assert reason in result.error


def test_a_truncated_dicom_file_is_an_error(drafter: FileDrafter, tmp_path: Path) -> None:
    whole = write_study(tmp_path, seed=1, size=128)[0]
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert drafter.draft(whole).error


def test_a_document_of_a_picture_is_refused(drafter: FileDrafter, tmp_path: Path) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "picture.png")
    result = drafter.draft(tmp_path / "picture.png", tmp_path / "out.dcm")
    assert "--sr needs a DICOM file" in (result.error or "")
    assert not (tmp_path / "out.dcm").exists()


def test_a_model_that_cannot_be_loaded_is_raised(drafter: FileDrafter, tmp_path: Path) -> None:
    (image,) = write_study(tmp_path, seed=1, views=["PA"], size=128)
    with pytest.raises(CheckpointError, match="no model 'not-there'"):
        drafter.draft(image)
