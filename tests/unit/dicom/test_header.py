from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from echo_node.dicom.header import read_header, split
from echo_node.dicom.header_values import text, values
from echo_node.dicom.instance_file import instance_from_file
from echo_node.errors import PermanentError

Sample = Callable[[str], Path]
MakeChest = Callable[..., Dataset]


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\0" * 132, b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 64]
)
def test_a_file_that_is_not_dicom_has_its_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    with pytest.raises(PermanentError, match=r"DICOM|meta information"):
        instance_from_file(path)


def test_an_absent_file_has_its_clear_line(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="cannot be read"):
        instance_from_file(tmp_path / "absent.dcm")
    with pytest.raises(PermanentError, match="cannot be read"):
        read_header(tmp_path / "absent.dcm")


def test_splitting_loses_no_byte(sample: Sample) -> None:
    whole = sample("RG1_J2KR").read_bytes()
    meta, data_set = split(whole)
    assert whole.endswith(data_set)
    assert data_set[:4] == b"\x08\x00\x05\x00"
    assert meta.MediaStorageSOPInstanceUID == dcmread(io.BytesIO(whole)).SOPInstanceUID


def test_values_are_strings_without_padding(make_chest: MakeChest) -> None:
    image = make_chest(ViewPosition="PA ", PatientOrientation=["L", "F"])
    assert text(image, "ViewPosition") == "PA"
    assert values(image, "PatientOrientation") == ["L", "F"]
    assert text(image, "ImageType") == "ORIGINAL\\PRIMARY"
    assert values(image, "PatientComments") == []
    assert text(image, "PatientName") == "Doe^Jane"
