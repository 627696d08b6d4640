"""Each reader on a small synthetic folder in the layout that it reads."""

import gzip
import json
from pathlib import Path

import pytest
from support.datasets import write_csv, write_picture

from echo_node.errors import ConfigError, PermanentError
from training.datasets.build import BuildOptions, build
from training.datasets.example import Candidate, Found, RejectedRow
from training.datasets.readers import chexpert_plus, manifest, mimic_cxr, openi, rexgradient
from training.datasets.shards import Dataset
from training.datasets.sources import READERS, detect
from training.phantom.dicom_study import write_study


def split_found(found: list[Found]) -> tuple[list[Candidate], dict[str, str]]:
    return [row for row in found if isinstance(row, Candidate)], {
        row.key: row.reason for row in found if isinstance(row, RejectedRow)
    }


class TestManifest:
    def test_reports_are_parsed_and_broken_lines_listed(self, tmp_path: Path) -> None:
        lines = [
            json.dumps({"image": "a.png", "report": "Findings: Clear. Impression: Normal.", "patient": 7}),
            "{",
            "[]",
            json.dumps({"report": "Findings: Clear."}),
            json.dumps({"image": "b.png", "report": "No heading."}),
            "",
        ]
        table = tmp_path / "rows.jsonl"
        table.write_text("\n".join(lines), encoding="utf-8")
        (row,), rejected = split_found(list(manifest.read(table)))
        assert (row.findings, row.impression, row.patient) == ("Clear.", "Normal.", "7")
        assert row.image == tmp_path / "a.png"
        assert rejected == {
            "row 2": "the line is not JSON",
            "row 3": "the line is not a JSON object",
            "row 4": "the row has no image",
            "row 5": "the report has no heading of findings or impression",
        }

    def test_a_table_without_the_column_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PermanentError, match="has no column image"):
            list(manifest.read(write_csv(tmp_path / "rows.csv", [{"picture": "a.png"}])))

    def test_a_truncated_archive_is_named(self, tmp_path: Path) -> None:
        whole = gzip.compress(b"image,findings\n" + b"a.png,Clear.\n" * 1000)
        (tmp_path / "rows.csv.gz").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(PermanentError, match=r"rows\.csv\.gz cannot be read"):
            list(manifest.read(tmp_path / "rows.csv.gz"))


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    patient = tmp_path / "files" / "p10" / "p10000032"
    (dicom,) = write_study(tmp_path, seed=3, views=["PA"], size=128)
    (patient / "s1").mkdir(parents=True)
    dicom.rename(patient / "s1" / "aa.dcm")
    write_picture(patient / "s2" / "bb.jpg", 1)
    write_picture(patient / "s3" / "cc.jpg", 2)
    for study in ("s1", "s3"):
        (patient / f"{study}.txt").write_text("FINDINGS: Clear.\nIMPRESSION: Normal.", encoding="utf-8")
    images = [
        ("aa", "1", "PA"),
        ("bb", "2", "AP"),
        ("cc", "3", "LATERAL"),
        ("dd", "3", "AP"),
        ("ee", "3", ""),
    ]
    rows = [
        {"dicom_id": name, "subject_id": "10000032", "study_id": study, "ViewPosition": view}
        for name, study, view in images
    ]
    plain = write_csv(tmp_path / "m.csv", rows)
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    write_csv(tmp_path / "mimic-cxr-2.0.0-split.csv", [{"dicom_id": "aa", "split": "validate"}])
    return tmp_path


class TestMimicCxr:
    def test_reports_are_text_files(self, mimic: Path) -> None:
        (row,), rejected = split_found(list(mimic_cxr.read(mimic)))
        assert (row.key, row.patient, row.study, row.split) == ("aa", "p10000032", "s1", "validate")
        assert (row.findings, row.impression, row.view) == ("Clear.", "Normal.", "PA")
        assert rejected == {
            "bb": "the report is missing",
            "cc": "not a frontal view",
            "dd": "the image file is missing",
            "ee": "the metadata does not state the view",
        }

    def test_or_a_table_of_sections(self, mimic: Path) -> None:
        rows = [{"study": "s2", "impression": "", "findings": "Effusion."}]
        write_csv(mimic / "mimic_cxr_sectioned.csv", rows)
        found, _ = split_found(list(mimic_cxr.read(mimic)))
        assert [(row.key, row.findings) for row in found] == [("aa", "Clear."), ("bb", "Effusion.")]

    def test_dicom_and_jpeg_are_both_built(self, mimic: Path) -> None:
        write_csv(
            mimic / "mimic_cxr_sectioned.csv", [{"study": "s2", "impression": "", "findings": "Effusion."}]
        )
        (mimic / "mimic-cxr-2.0.0-split.csv").unlink()
        assert detect(mimic) == "mimic-cxr"
        facts = build(mimic_cxr.read(mimic), mimic / "out", BuildOptions("m", "mimic-cxr"))
        assert facts.rows == 2
        assert [row.view for row in Dataset(mimic / "out").rows] == ["PA", "AP"]


XML = """<?xml version="1.0"?><eCitation><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText>
<AbstractText Label="FINDINGS">The lungs are clear.</AbstractText>
<AbstractText Label="IMPRESSION">Normal &lt;chest&gt;.</AbstractText>
</Abstract></Article></MedlineCitation>
<parentImage id="CXR1_1_IM-0001-3001"/><parentImage id="CXR1_1_IM-0001-4001"/></eCitation>"""


class TestOpenI:
    def test_xml_reports(self, tmp_path: Path) -> None:
        reports = tmp_path / "ecgen-radiology"
        reports.mkdir()
        (reports / "1.xml").write_text(XML, encoding="utf-8")
        (reports / "2.xml").write_text(XML.replace("CXR1_1", "CXR2"), encoding="utf-8")
        (reports / "3.xml").write_text("<eCitation>", encoding="utf-8")
        (reports / "4.xml").write_text("<eCitation/>", encoding="utf-8")
        write_picture(tmp_path / "NLMCXR_png" / "CXR1_1_IM-0001-3001.png", 1)
        (row,), rejected = split_found(list(openi.read(tmp_path)))
        assert (row.findings, row.impression) == ("The lungs are clear.", "Normal <chest>.")
        assert (row.image.name, row.view) == ("CXR1_1_IM-0001-3001.png", "")
        assert rejected == {
            "2": "the image file is missing",
            "3": "the report is not readable XML (ParseError)",
            "4": "the report names no image",
        }

    def test_a_table_of_projections_names_the_frontal_image(self, tmp_path: Path) -> None:
        (tmp_path / "1.xml").write_text(XML, encoding="utf-8")
        rows = [{"uid": 1, "filename": "1_1_IM-0001-4001.dcm.png", "projection": "Frontal"}]
        write_csv(tmp_path / "indiana_projections.csv", rows)
        write_picture(tmp_path / "images" / "1_1_IM-0001-4001.dcm.png", 1)
        (row,), _ = split_found(list(openi.read(tmp_path)))
        assert (row.image.name, row.view) == ("1_1_IM-0001-4001.dcm.png", "frontal")

    def test_annotation_json(self, tmp_path: Path) -> None:
        case = {"id": "CXR1", "report": "Clear.", "image_path": ["CXR1/0.png", "CXR1/1.png"], "split": "val"}
        content = {"train": [], "val": [case, {"id": "CXR2"}]}
        (tmp_path / "annotation.json").write_text(json.dumps(content), encoding="utf-8")
        write_picture(tmp_path / "images" / "CXR1" / "0.png", 1)
        (row,), rejected = split_found(list(openi.read(tmp_path)))
        assert (row.findings, row.impression, row.split) == ("Clear.", "", "val")
        assert rejected == {"row 2": "the row lacks id, report or image_path"}

    def test_a_truncated_annotation_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "annotation.json").write_text('{"train": [', encoding="utf-8")
        with pytest.raises(PermanentError, match="is it complete"):
            list(openi.read(tmp_path))


def test_chexpert_plus(tmp_path: Path) -> None:
    common = {"deid_patient_id": "patient1", "ap_pa": "PA", "split": "train", "section_impression": "Normal."}
    images = {
        "train/patient1/study1/view1_frontal.jpg": "Frontal",
        "train/patient1/study1/view2_lateral.jpg": "Lateral",
        "train/patient2/study1/view1_frontal.jpg": "Frontal",
    }
    rows = [
        {"path_to_image": path, "frontal_lateral": view, "section_findings": "Clear.", **common}
        for path, view in images.items()
    ]
    write_csv(tmp_path / "df_chexpert_plus_240401.csv", rows)
    write_picture(tmp_path / "PNG" / "train/patient1/study1/view1_frontal.png", 1)
    (row,), rejected = split_found(list(chexpert_plus.read(tmp_path)))
    assert (row.patient, row.study, row.view) == ("patient1", "train/patient1/study1", "PA")
    assert rejected == {"row 2": "not a frontal view", "row 3": "the image file is missing"}
    assert detect(tmp_path) == "chexpert-plus"


def test_rexgradient(tmp_path: Path) -> None:
    image = "../deid_png/GRDN1/ACC1/studies/1.2/series/1.3/instances/1.4.png"
    study = {
        "Findings": "Clear.",
        "Impression": "Normal.",
        "ImageViewPosition": ["POSTERO_ANTERIOR", "LATERAL"],
    }
    content = {
        "s1": {**study, "ImagePath": [image, image]},
        "s2": {**study, "ImagePath": [image]},
        "s3": None,
    }
    (tmp_path / "metadata").mkdir()
    metadata = tmp_path / "metadata" / "valid_metadata_view_position.json"
    metadata.write_text(json.dumps(content), encoding="utf-8")
    write_picture(tmp_path / image.removeprefix("../"), 1)
    (row,), rejected = split_found(list(rexgradient.read(tmp_path)))
    assert (row.patient, row.study, row.view, row.split) == ("GRDN1", "s1", "PA", "valid")
    assert rejected["s1 image 1"] == "not a frontal view"
    assert "differ in length" in rejected["s2"]
    assert detect(tmp_path) == "rexgradient"


def test_an_unknown_layout_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="export, manifest, mimic-cxr, chexpert-plus, rexgradient, openi"):
        detect(tmp_path)


@pytest.mark.parametrize("name", ["mimic-cxr", "openi", "chexpert-plus", "rexgradient"])
def test_a_folder_without_its_tables_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="has n"):
        list(READERS[name](tmp_path))
