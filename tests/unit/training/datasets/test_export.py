import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from support.console import echo_node
from support.studies import SentInstance, store

from echo_node.dicom.documents.sr import StructuredReportEncoder
from echo_node.dicom.header import split
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.drafts.draft import Draft
from echo_node.domain.drafts.report import Generation, ModelIdentity, Report, Sentence
from echo_node.errors import ConfigError, PermanentError
from echo_node.pipeline.receive import Intake
from echo_node.settings import Settings
from echo_node.storage.open import Storage
from echo_node.storage.operations.export import StudyChoice
from echo_node.wiring.storage import open_storage
from training.datasets.build import REJECTED_FILE, BuildOptions, build
from training.datasets.deidentification.pseudonyms import Pseudonyms
from training.datasets.export import Export
from training.datasets.reports import ReportFolder
from training.datasets.shards import Dataset
from training.phantom.dicom_study import write_study

KEY = b"a key that is long enough"
REPORT = """FINAL REPORT
INDICATION: Cough, Mr. Chest Phantom.
FINDINGS: Compared with 3 January 2024. There is a small left effusion. Dr. Referrer was told at 10:15.
IMPRESSION: Small left effusion in PHANTOM-{seed}.
"""


class Clock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


class Node:
    """A node's storage with phantom studies, received one a day by the code that receives them."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.reports = folder / "reports"
        self.files = folder / "files"
        for each in (self.data_dir, self.reports, self.files):
            each.mkdir()
        self.settings = Settings.model_validate(
            {"node": {"data_dir": str(self.data_dir)}, "intake": {"minimum_free_bytes": 0}}
        )
        self.clock = Clock()
        self.storage: Storage = open_storage(self.settings, self.clock)
        self.storage.upgrade()

    def receive(
        self, seed: int, calling: str = "MODALITY", report: str | None = REPORT, **changes: str
    ) -> str:
        """Receive the phantom study of a seed; return its Study Instance UID."""
        (path,) = write_study(self.files, seed=seed, views=["PA"], size=128)
        data_set = dcmread(path)
        for keyword, value in changes.items():
            setattr(data_set, keyword, value)
        data_set.save_as(path)
        part10 = path.read_bytes()
        body = split(part10)[1]
        instance = instance_from_file(path)
        store(
            Intake(self.storage.spool, self.storage.studies),
            SentInstance(instance.identity, calling, data_set=body),
        )
        self.clock.moment += timedelta(days=1)
        self.storage.studies.complete_due()
        if report:
            (self.reports / f"PHANTOM{seed:08d}.txt").write_text(report.format(seed=seed), encoding="utf-8")
        return instance.identity.study_instance_uid

    def export(self, out: Path, choice: StudyChoice = StudyChoice(), key: bytes = KEY) -> Dataset:  # noqa: B008
        names = Pseudonyms(key)
        studies, requested = self.storage.archive.studies(choice), choice.study_instance_uids or ()
        rows = Export(studies, requested, ReportFolder(self.reports), names).read()
        build(rows, out, BuildOptions("mine", "export", names))
        return Dataset(out)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.storage.close()


def reasons(out: Path) -> list[str]:
    lines = (out / REJECTED_FILE).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["reason"] for line in lines]


def test_an_export_holds_images_and_scrubbed_reports(node: Node, tmp_path: Path) -> None:
    node.receive(1)
    (row,) = node.export(tmp_path / "out").rows
    assert row.report == (
        "Findings: Compared with [DATE]. There is a small left effusion. Dr. [NAME] was told at [TIME]. "
        "Impression: Small left effusion in [ID]."
    )
    assert (row.view, row.labels, row.source) == ("PA", ("Pleural Effusion",), "export")


def test_nothing_that_names_patient_staff_or_place_is_on_disk(node: Node, tmp_path: Path) -> None:
    uid = node.receive(1)
    received = dcmread(next(node.files.glob("*.dcm")))
    node.receive(2, report=None)
    node.export(tmp_path / "out")
    secrets = [
        uid,
        "Phantom^",
        "Phantom Hospital",
        "PHANTOM-1",
        "PHANTOM0",
        "Referrer",
        "ROOM1",
        received.StudyDate,
        received.PatientBirthDate,
    ]
    for path in (tmp_path / "out").iterdir():
        for secret in secrets:
            assert secret.encode() not in path.read_bytes(), (path.name, secret)


def test_the_header_keeps_technical_attributes_with_a_shifted_date(node: Node, tmp_path: Path) -> None:
    node.receive(1, PatientAge="094Y")
    (row,) = node.export(tmp_path / "out").rows
    header = json.loads(row.header)
    assert header["Modality"] == "CR"
    assert float(header["KVP"]) == 120
    assert header["PatientAge"] == "090Y"
    shift = Pseudonyms(KEY).shift("ECHO-NODE-PHANTOM\0PHANTOM-1")
    assert header["StudyDate"] == (date(2025, 2, 2) + shift).strftime("%Y%m%d")
    assert not {"PatientName", "PatientID", "InstitutionName", "StationName"} & header.keys()


def test_what_is_left_out_is_listed_with_its_reason(node: Node, tmp_path: Path) -> None:
    node.receive(1, report=None)
    node.receive(2, report="Nothing under a heading.")
    node.receive(3, BurnedInAnnotation="YES")
    node.receive(4, ViewPosition="LL", SeriesDescription="", ProtocolName="")
    node.receive(5)
    assert len(node.export(tmp_path / "out")) == 1
    assert reasons(tmp_path / "out") == [
        "there is no report for the study",
        "the report has no heading of findings or impression",
        "the header states that the image contains burned-in text",
        "a lateral view, not a frontal one",
    ]


def test_studies_are_chosen_by_day_sender_and_list(node: Node, tmp_path: Path) -> None:
    first, second, third = (node.receive(seed, calling=f"ROOM{seed}") for seed in (1, 2, 3))
    ids = {uid: Pseudonyms(KEY).name("study", uid) for uid in (first, second, third)}

    def chosen(name: str, choice: StudyChoice) -> set[str]:
        return {row.study_id for row in node.export(tmp_path / name, choice).rows}

    second_day = datetime(2026, 1, 2, tzinfo=UTC)
    assert chosen("a", StudyChoice(since=second_day)) == {ids[second], ids[third]}
    assert chosen("b", StudyChoice(until=second_day)) == {ids[first]}
    assert chosen("c", StudyChoice(calling_ae_title="ROOM3")) == {ids[third]}
    assert chosen("d", StudyChoice(study_instance_uids={first, "1.2.3"})) == {ids[first]}
    assert reasons(tmp_path / "d") == [
        "the node has no complete study with this UID that matches the other options"
    ]
    assert node.storage.archive.count(StudyChoice(study_instance_uids={first, "1.2.3"})) == 1


def test_a_later_export_adds_what_came_since_and_keeps_to_its_key(node: Node, tmp_path: Path) -> None:
    node.receive(1)
    before = node.export(tmp_path / "out").rows
    node.receive(2)
    after = node.export(tmp_path / "out").rows
    assert after[:1] == before
    assert len(after) == 2
    with pytest.raises(ConfigError, match="started with another key"):
        node.export(tmp_path / "out", key=b"another key, long enough")


def test_another_key_gives_other_names(node: Node, tmp_path: Path) -> None:
    node.receive(1)
    (mine,), (theirs,) = (
        node.export(tmp_path / name, key=key).rows for name, key in (("a", KEY), ("b", b"k" * 16))
    )
    assert mine.patient_id != theirs.patient_id
    assert json.loads(mine.header)["StudyDate"] != json.loads(theirs.header)["StudyDate"]


def structured_report(image: Path, words: str, manufacturer: str) -> bytes:
    """Return an SR document about an image, by the node's encoder under another manufacturer."""
    selection = ChestImageSelector().select([instance_from_file(image)])
    report = Report(
        (Sentence(words),),
        (Sentence("As above."),),
        "en",
        ModelIdentity("m", "1", "ab" * 32, demonstration=False),
        Generation("one-step", 1, 1, 0.1),
    )
    uid = selection.primary.instance.identity.study_instance_uid
    at = datetime(2026, 1, 1, tzinfo=UTC)
    encoded = StructuredReportEncoder().encode(Draft(report, selection, uid, 1, at))
    path = image.with_suffix(".sr")
    path.write_bytes(encoded.content)
    document = dcmread(path)
    document.Manufacturer = manufacturer
    document.save_as(path)
    return path.read_bytes()


def test_structured_reports_are_read_and_drafts_of_this_program_are_not(node: Node, tmp_path: Path) -> None:
    node.receive(1, report=None)
    (image,) = node.files.glob("*.dcm")
    (node.reports / "draft").write_bytes(structured_report(image, "No effusion.", "echo-node"))
    assert len(node.export(tmp_path / "a")) == 0
    (node.reports / "report").write_bytes(structured_report(image, "There is an effusion.", "Maker"))
    (node.reports / "odd.bin").write_bytes(b"neither")
    (row,) = node.export(tmp_path / "b").rows
    assert row.findings == "There is an effusion."
    assert row.impression == "As above."
    assert ReportFolder(node.reports).unreadable == 1


def test_a_report_is_found_by_uid_before_accession_number_and_in_gb_18030(node: Node, tmp_path: Path) -> None:
    uid = node.receive(1)
    (node.reports / f"{uid}.txt").write_bytes("检查所见：两肺清晰。\n诊断意见：未见异常。".encode("gb18030"))
    (row,) = node.export(tmp_path / "out").rows
    assert (row.language, row.findings, row.impression) == ("zh", "两肺清晰。", "未见异常。")


def test_a_text_of_no_known_encoding_is_listed(node: Node, tmp_path: Path) -> None:
    node.receive(1)
    next(node.reports.iterdir()).write_bytes(b"FINDINGS: \xff\xff\xff")
    with pytest.raises(PermanentError, match="the encoding of the report is unknown"):
        ReportFolder(node.reports).find("1.2.3", "PHANTOM00000001")


def test_the_command_exports_and_writes_the_card(node: Node, tmp_path: Path) -> None:
    node.receive(1)
    node.storage.close()
    (tmp_path / "key").write_bytes(KEY)
    flags = ("--key-file", tmp_path / "key", "--data-dir", node.data_dir)
    done = echo_node("export", tmp_path / "out", "--reports", node.reports, *flags, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 1
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "1 frontal chest radiographs, 1 patients" in card
    assert "| Pleural Effusion |" in card
    assert echo_node("dataset", "check", tmp_path / "out", cwd=tmp_path).returncode == 0
    assert echo_node("export", tmp_path / "x", *flags, cwd=tmp_path).returncode == 2
    (tmp_path / "key").write_bytes(b"short")
    short = echo_node("export", tmp_path / "out", "--images-only", *flags, cwd=tmp_path)
    assert (short.returncode, "has 5 bytes" in short.stderr) == (2, True)
