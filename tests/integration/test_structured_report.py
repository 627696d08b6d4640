"""The draft and its judges: validators, a renderer, and a PACS that stores it with the images."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from integration import validators
from integration.orthanc import Orthanc
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from support import drafts

from echo_node.dicom.documents.sr import StructuredReportEncoder
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.scu.c_store import Sender
from echo_node.dicom.selection.from_file import read_chest_image
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.drafts.comparison import Comparison
from echo_node.domain.drafts.draft import Draft
from echo_node.domain.drafts.report import EncodedDocument, Generation, ModelIdentity, Report, Sentence
from echo_node.domain.ports import DeliveryOutcome
from echo_node.errors import TransientError
from training.phantom.dicom_study import Modality, Photometric, write_study

pytestmark = pytest.mark.external

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REPORT = Report(
    (Sentence("Multiple round opacities in both lungs."), Sentence("No pleural effusion.")),
    (Sentence("Pulmonary nodules, suspicious for metastases."),),
    "en",
    ModelIdentity("echo-demo", "1", "5a" * 32, demonstration=True),
    Generation("one_step", 24, 3, 0.2),
)
NO_IMPRESSION = Report(REPORT.findings, (), "en", REPORT.model, REPORT.generation)
JAPANESE = Report(
    (Sentence("両肺に多発結節影を認める。"),),
    (Sentence("肺転移の疑い。"),),
    "ja",
    REPORT.model,
    REPORT.generation,
)

NOBODY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip


def sample(name: str) -> Path:
    found = get_testdata_file(f"{name}.dcm", download=False)
    assert isinstance(found, str)
    return Path(found)


def variant(target: Path, *, without: tuple[str, ...] = (), **attributes: object) -> Path:
    """Write RG1 with other attributes."""
    image = dcmread(sample("RG1_J2KR"))
    for keyword in without:
        if keyword in image:
            delattr(image, keyword)
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    image.save_as(target)
    return target


def encode(
    *paths: Path,
    report: Report = REPORT,
    predecessor: EncodedDocument | None = None,
    comparison: Comparison | None = None,
) -> EncodedDocument:
    selection = ChestImageSelector().select([instance_from_file(path) for path in paths])
    study = selection.primary.instance.identity.study_instance_uid
    draft = Draft(report, selection, study, 1 if predecessor is None else 2, AT, comparison)
    return StructuredReportEncoder(zone=UTC).encode(draft, predecessor)


@pytest.fixture
def order() -> Dataset:
    step = Dataset()
    step.RequestedProcedureID = "RP1"
    step.ScheduledProcedureStepID = "SPS1"
    step.RequestedProcedureDescription = "Chest PA"
    return step


@pytest.fixture(
    params=[
        "real",
        "two images",
        "no impression",
        "nobody",
        "ordered",
        "Japanese",
        "Arabic",
        "Latin-1",
        "revised",
    ]
)
def document(request: pytest.FixtureRequest, tmp_path: Path, order: Dataset) -> EncodedDocument:
    target = tmp_path / "image.dcm"
    japanese = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    match request.param:
        case "real":
            return encode(sample("RG1_UNCR"))
        case "two images":
            return encode(sample("RG1_UNCR"), sample("RG1_J2KR"))
        case "revised":
            return encode(sample("RG1_J2KR"), predecessor=encode(sample("RG1_UNCR")))
        case "no impression":
            return encode(sample("RG1_J2KR"), report=NO_IMPRESSION)
        case "nobody":
            return encode(variant(target, without=NOBODY))
        case "ordered":
            return encode(variant(target, RequestAttributesSequence=[order]))
        case "Japanese":
            charset = ["", "ISO 2022 IR 87"]
            return encode(
                variant(target, SpecificCharacterSet=charset, PatientName=japanese), report=JAPANESE
            )
        case "Arabic":
            return encode(variant(target, SpecificCharacterSet="ISO_IR 127", PatientName="قباني^لنزار"))
        case _:
            return encode(variant(target, PatientName="Buc^Jérôme", ReferringPhysicianName="Müller^Jörg"))


def test_dciodvfy_finds_no_error(document: EncodedDocument, tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(document.content)
    assert validators.dciodvfy_errors(path) == []


@pytest.mark.slow
@pytest.mark.parametrize("document", ["two images", "nobody", "Japanese", "revised"], indirect=True)
def test_pixelmed_finds_no_error(document: EncodedDocument, tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(document.content)
    assert [line for line in validators.pixelmed_findings(path) if line.startswith("Error")] == []


@pytest.mark.slow
@pytest.mark.parametrize("comparison", [None, drafts.COMPARISONS["bare"]])
def test_the_sections_follow_the_template_to_the_letter(
    tmp_path: Path, comparison: Comparison | None
) -> None:
    path = tmp_path / "sr.dcm"
    document = encode(sample("RG1_UNCR"), sample("RG1_J2KR"), comparison=comparison)
    path.write_bytes(validators.with_retired_headings(document.content))
    assert validators.pixelmed_findings(path) == []


def test_dciodvfy_has_nothing_to_say_of_what_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(encode(variant(tmp_path / "i.dcm", ReferringPhysicianName="Ward^A")).content)
    assert validators.dciodvfy_warnings(path) == []


@pytest.mark.parametrize("modality", ["CR", "DX"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_phantom_studies_are_read_and_reported(
    tmp_path: Path, modality: Modality, photometric: Photometric
) -> None:
    images = write_study(
        tmp_path, seed=1, size=256, modality=modality, photometric_interpretation=photometric
    )
    selection, shown = read_chest_image(images[0])
    plain = write_study(tmp_path, seed=1, size=256)[0]
    assert shown.pixels == read_chest_image(plain)[1].pixels
    assert selection.primary.view == "PA"
    path = tmp_path / "sr.dcm"
    path.write_bytes(encode(*images).content)
    assert validators.dciodvfy_errors(path) == []


def test_the_page_reads_well(tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    comparison = drafts.COMPARISONS["whole"]
    path.write_bytes(encode(sample("RG1_UNCR"), sample("RG1_J2KR"), comparison=comparison).content)
    page = validators.readable_text(validators.html_page(path, tmp_path / "sr.html"))
    order = [
        "RG1 CompressedSamples",
        "AI DRAFT - UNVERIFIED",
        "PRELIMINARY",
        "Verification Flag:\nUNVERIFIED",
        "Diagnostic Imaging Report",
        "DEMONSTRATION MODEL, NOT FOR CLINICAL USE. UNVERIFIED MACHINE DRAFT.",
        "Prior Procedure Descriptions",
        "Comparison: a prior chest radiograph of 2025-03-04 (PA) exists in ARCHIVE",
        "Multiple round opacities in both lungs.",
        "No pleural effusion.",
        "Pulmonary nodules, suspicious for metastases.",
        "Images read: 1. View: PA.",
        "Not read, 1 image: another image taken at the same time was read.",
    ]
    places = [page.index(line) for line in order]
    assert places == sorted(places), page


def test_a_japanese_page_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    image = variant(tmp_path / "i.dcm", SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=name)
    path.write_bytes(encode(image, report=JAPANESE).content)
    page = validators.readable_text(validators.html_page(path, tmp_path / "sr.html"))
    assert "両肺に多発結節影を認める。" in page
    assert "肺転移の疑い。" in page


def test_the_pacs_keeps_it_in_the_same_study_and_once() -> None:
    document = encode(sample("RG1_J2KR"))
    with Orthanc() as pacs:
        pacs.store(sample("RG1_J2KR").read_bytes())
        sender = Sender("ECHO_NODE", {"pacs": pacs.peer}, 20.0)
        sender.echo("pacs")
        assert sender.send(document, "pacs") == (DeliveryOutcome.SUCCESS, 0x0000)
        assert sender.send(document, "pacs") == (DeliveryOutcome.SUCCESS, 0x0000)
        (study,) = pacs.find("Study", StudyInstanceUID=document.study_instance_uid)
        assert study["PatientMainDicomTags"]["PatientID"] == "9RG1"
        assert len(study["Series"]) == 2
        (kept,) = pacs.reports(document.study_instance_uid)
        stored = dcmread(io.BytesIO(kept))
        sent = dcmread(io.BytesIO(document.content))
        assert stored == sent

        pacs.stop()
        with pytest.raises(TransientError, match="Connection refused"):
            sender.send(document, "pacs")
        pacs.start()
        assert sender.send(document, "pacs") == (DeliveryOutcome.SUCCESS, 0x0000)
        assert len(pacs.reports(document.study_instance_uid)) == 1


def test_a_pacs_that_does_not_know_us_says_so() -> None:
    document = encode(sample("RG1_J2KR"))
    with Orthanc({"SOMEBODY": ("127.0.0.1", 104)}) as pacs:
        sender = Sender("ECHO_NODE", {"pacs": pacs.peer}, 20.0)
        with pytest.raises(TransientError, match="rejects the association"):
            sender.send(document, "pacs")
        assert pacs.instances(document.study_instance_uid) == []
