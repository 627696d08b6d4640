"""Character sets: DCMTK reads the same names, and drafts of wrongly stated ones are valid."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from integration import validators
from pydicom import dcmread
from pydicom.data import get_charset_files
from support.console import echo_node
from support.drafts import draft_of, image
from support.encoded_texts import encoded

from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.header import read_header
from echo_node.dicom.header_values import text
from echo_node.domain.drafts.fixed_texts import ENGLISH
from echo_node.settings import DocumentKind

pytestmark = [pytest.mark.external, pytest.mark.filterwarnings("ignore::UserWarning:pydicom")]

_FILES = [Path(each) for each in get_charset_files("chr*.dcm") if not re.search("chrJap|chrH3|chrSQ", each)]
"""Those with a name whose set DCMTK knows; with iconv it lacks ISO 2022 IR 87."""


@pytest.mark.parametrize(
    "path", [each for each in _FILES if "SQ" not in each.name], ids=lambda path: path.stem
)
def test_dcmtk_reads_the_same_names(path: Path, tmp_path: Path) -> None:
    converted = tmp_path / "utf-8.dcm"
    subprocess.run(["/usr/bin/dcmconv", "+U8", str(path), str(converted)], check=True, timeout=60)
    header = read_header(path)
    assert text(header, "PatientName") == str(dcmread(converted).PatientName)
    assert header.remarks == ()


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        (b"ISO_IR 100", "张^三".encode("gbk")),
        (b"ISO_IR 100", "张^三".encode()),
        (b"\\ISO 2022 IR 87", b"=\x1b$B;3ED^\x1b$BB@O:=\x1b$$x\x07"),
        (None, "Müller^Jörg".encode("latin-1")),
        (b"GB18030\\ISO IR 192\\UTF-8", b"\x80\x1b\x00\xff"),
    ],
)
def test_dciodvfy_finds_no_error(terms: bytes | None, name: bytes, tmp_path: Path) -> None:
    path = spoilt(tmp_path / "image.dcm", terms, name)
    document = tmp_path / "draft.dcm"
    document.write_bytes(dicom_encoder(DocumentKind.BASIC_TEXT_SR).encode(draft_of(path)).content)
    assert validators.dciodvfy_errors(document) == []


def spoilt(path: Path, terms: bytes | None, name: bytes) -> Path:
    """Write a chest radiograph with these encoded texts."""
    data_set = dcmread(image(path))
    for sequence in [each.tag for each in data_set if each.VR == "SQ"]:
        del data_set[sequence]
    data_set.decompress()
    texts = {"PatientName": name, "ReferringPhysicianName": name, "InstitutionName": name}
    path.write_bytes(
        encoded(data_set, SpecificCharacterSet=terms, StudyDescription=b"Chest " + name, **texts)
    )
    return path


def test_report_reads_a_file_in_the_configured_set(tmp_path: Path) -> None:
    path = spoilt(tmp_path / "image.dcm", None, "张^三".encode("gbk"))
    arguments = ("report", path, "--sr", "draft.dcm")
    plain = echo_node(*arguments, cwd=tmp_path)
    assert (plain.returncode, ENGLISH.unreadable_text in plain.stdout) == (0, True), plain.stderr
    assert dcmread(tmp_path / "draft.dcm").PatientName == ""
    told = echo_node(*arguments, cwd=tmp_path, env={"ECHO_NODE_INTAKE__CHARACTER_SET": "GB18030"})
    assert (told.returncode, ENGLISH.unreadable_text in told.stdout) == (0, False), told.stderr
    assert dcmread(tmp_path / "draft.dcm").PatientName == "张^三"
