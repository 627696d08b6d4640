"""A study pushed by a modality comes back to the PACS as one draft, made by the shipped model."""

import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from integration.orthanc import PROGRAM, Orthanc
from integration.validators import dciodvfy_errors, html_page, pixelmed_findings, readable_text
from pydicom import dcmread
from pydicom.data import get_testdata_file
from support.serving import ServedNode, eventually

from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed: make tools"),
]

_ROLES = ("receive", "infer", "deliver")


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    with Orthanc() as orthanc:
        yield orthanc


def _real(name: str) -> Path:
    path = get_testdata_file(name)
    assert path is not None, f"{name} comes with pydicom-data"
    return Path(path)


def _push(node: ServedNode, *paths: Path, syntax: str = "-xe") -> str:
    """Send the files of a study as a modality would; return its Study Instance UID."""
    address = ["127.0.0.1", str(node.port)]
    command = ["/usr/bin/storescu", "-v", syntax, "-aec", "ECHO_NODE", *address, *map(str, paths)]
    sent = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = sent.stdout + sent.stderr
    assert said.count("Received Store Response (Success)") == len(paths), said
    return str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)


def _node(folder: Path, pacs: Orthanc, *, is_warm: bool = True, **environment: str) -> ServedNode:
    flags = ("--pacs", pacs.address, "--study-idle", "1")
    return ServedNode(folder, *flags, environment=environment, is_warm=is_warm)


def _silent(path: Path) -> Path:
    """Take from a phantom's header all that tells its view."""
    image = dcmread(path)
    for keyword in ("ViewPosition", "PatientOrientation", "SeriesDescription", "ProtocolName"):
        delattr(image, keyword)
    image.save_as(path)
    return path


def _judge(part10: bytes, study: str, folder: Path) -> str:
    """Check a delivered draft as its recipients would; return the text of its page."""
    path = folder / "draft.dcm"
    path.write_bytes(part10)
    draft = dcmread(BytesIO(part10))
    assert study == draft.StudyInstanceUID
    assert (draft.CompletionFlag, draft.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    assert draft.PreliminaryFlag == "PRELIMINARY"
    assert draft.SeriesDescription == "AI DRAFT - UNVERIFIED"
    assert dciodvfy_errors(path) == []
    assert [line for line in pixelmed_findings(path) if line.startswith("Error")] == []
    page = readable_text(html_page(path, folder / "draft.html"))
    for words in (
        "DEMONSTRATION MODEL, NOT FOR CLINICAL USE",
        "UNVERIFIED MACHINE DRAFT",
        "Findings",
        "Impression",
    ):
        assert words in page
    return page


@pytest.mark.parametrize(
    ("name", "syntax"),
    [("RG1_UNCR.dcm", "-xe"), pytest.param("RG1_J2KR.dcm", "-xv", marks=pytest.mark.long)],
)
def test_a_real_chest_radiograph_comes_back_as_one_report(
    tmp_path: Path, pacs: Orthanc, name: str, syntax: str
) -> None:
    with _node(tmp_path, pacs, is_warm=name != "RG1_UNCR.dcm") as node:
        node.start(*_ROLES)
        study = _push(node, _real(name), syntax=syntax)
        before = len(pacs.reports(study))  # the two files are two instances of one study
        eventually(lambda: node.studies() == {"delivered": 1}, f"delivered: {node.log}")
        _push(node, _real(name), syntax=syntax)  # the acknowledgement of the resend comes after its row
        assert node.studies() == {"delivered": 1}
        assert len(pacs.reports(study)) == before + 1
        _judge(pacs.reports(study)[-1], study, tmp_path)
        assert node.stop() == 0


def test_sent_twice_is_still_one_report_and_a_leg_is_skipped_with_its_reason(
    tmp_path: Path, pacs: Orthanc
) -> None:
    phantom, leg_image = write_study(tmp_path, seed=1), _real("RG3_UNCR.dcm")
    with _node(tmp_path, pacs) as node:
        node.start(*_ROLES)
        study = _push(node, *phantom)
        eventually(lambda: node.studies() == {"delivered": 1}, f"delivered: {node.log}")
        _push(node, *phantom)
        leg = _push(node, leg_image)
        eventually(lambda: node.studies() == {"delivered": 1, "skipped": 1}, f"skipped: {node.log}")
        assert len(pacs.reports(study)) == 1
        assert pacs.instances(leg) == []
        with node.storage() as storage:
            assert "EXTREMITY" in str(storage.queries.show(2))
        page = _judge(pacs.reports(study)[0], study, tmp_path)
        assert "Images read: 1. View: PA." in page
        assert "Not read, 1 image: a lateral view, not a frontal one." in page
        assert node.stop() == 0


@pytest.mark.long
def test_a_picture_speaks_for_a_silent_header_where_it_may_and_the_report_says_so(
    tmp_path: Path, pacs: Orthanc
) -> None:
    frontal = [_silent(path) for path in write_study(tmp_path, seed=31, views=["PA", "LATERAL"])]
    lateral = [_silent(path) for path in write_study(tmp_path, seed=32, views=["LATERAL"])]
    with _node(tmp_path, pacs, ECHO_NODE_SELECTION__VIEW_CHECK="read") as node:
        node.start(*_ROLES)
        study = _push(node, *frontal)
        skipped = _push(node, *lateral)
        eventually(lambda: node.studies() == {"delivered": 1, "skipped": 1}, f"both done: {node.log}")
        with node.storage() as storage:
            assert "takes the image for a lateral one" in str(storage.queries.show(2))
        assert pacs.reports(skipped) == []
        page = _judge(pacs.reports(study)[0], study, tmp_path)
        assert "The view was recognised from the image, not stated by its header." in page
        assert "The header does not state the orientation of the image" in page
        assert node.stop() == 0
