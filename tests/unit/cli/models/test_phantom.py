"""`echo-node phantom`: sheets, studies and data sets, and the message if nothing can be shown."""

import json
from pathlib import Path

import pydicom
import pytest
from PIL import Image
from support.console import echo_node

from echo_node.cli.models.phantom import View, dataset, sheet
from echo_node.errors import ConfigError


def test_a_sheet_shows_as_many_cases_as_asked_for(tmp_path: Path) -> None:
    flags = ("--count", "3", "--columns", "2", "--size", "128", "--seed", "4", "--json")
    done = echo_node("phantom", "sheet", "out.png", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert len(shown) == 3
    assert all(each["report"].startswith("Findings: ") for each in shown)
    with Image.open(tmp_path / "out.png") as sheet:
        assert (sheet.mode, sheet.width) == ("L", 256)
        assert sheet.height > 256


def test_a_sheet_can_ask_for_a_view_findings_and_a_language(tmp_path: Path) -> None:
    flags = (
        "--count",
        "2",
        "--size",
        "128",
        "--view",
        "LATERAL",
        "--finding",
        "effusion",
        "--language",
        "zh",
    )
    done = echo_node("phantom", "sheet", "out.png", *flags, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for each in json.loads(done.stdout):
        assert each["view"] == "LATERAL"
        assert any(line.startswith("effusion") for line in each["findings"])
        assert each["report"].startswith("所见")


def test_an_unknown_finding_is_a_wrong_usage_that_names_the_known_ones(tmp_path: Path) -> None:
    done = echo_node("phantom", "sheet", "out.png", "--finding", "measles", cwd=tmp_path)
    assert done.returncode == 2
    assert "--finding measles: there is no such finding; choose one of endotracheal_tube" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_findings_that_do_not_meet_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.phantom.sheet._CASES_SEARCHED", 1000)
    with pytest.raises(ConfigError, match="no case shows all of these findings together in this view"):
        sheet(tmp_path / "out.png", view=View.PA, finding=["endotracheal_tube"])


@pytest.mark.long
def test_findings_that_never_meet_are_told(tmp_path: Path) -> None:
    flags = ("--view", "PA", "--finding", "endotracheal_tube")
    done = echo_node("phantom", "sheet", "out.png", *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert "no case shows all of these findings together in this view" in done.stderr


def test_studies_are_written_with_their_truth(tmp_path: Path) -> None:
    flags = ("--count", "2", "--seed", "3", "--size", "128", "--modality", "DX", "--inverted", "--json")
    done = echo_node("phantom", "study", "in/coming", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["seed"] for row in rows] == [3, 4]
    for row in rows:
        instances = [pydicom.dcmread(tmp_path / path) for path in row["files"]]
        assert len({instance.StudyInstanceUID for instance in instances}) == 1
        assert {instance.Modality for instance in instances} == {"DX"}
        assert {instance.PhotometricInterpretation for instance in instances} == {"MONOCHROME1"}


def test_a_data_set_is_written_with_its_card(tmp_path: Path) -> None:
    flags = ("--count", "2", "--size", "128", "--language", "zh", "--splits", "0,0,1")
    done = echo_node("phantom", "dataset", "out", *flags, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"folder": "out", "rows": 2, "shards": 1, "rejected": {}}
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "2 frontal chest radiographs, 2 patients, read as `phantom`" in card
    assert "| zh | 0 | 0 | 2 | 2 |" in card


@pytest.mark.parametrize("splits", ["90,10", "a,b,c", "0,0,0", "1,-1,1", "inf,0,0", "nan,1,1"])
def test_shares_that_are_none_are_refused(tmp_path: Path, splits: str) -> None:
    with pytest.raises(ConfigError, match=f"--splits {splits}: "):
        dataset(tmp_path / "out", splits=splits)


def test_seeds_end_where_accession_numbers_do(tmp_path: Path) -> None:
    done = echo_node("phantom", "study", "out", "--seed", "99999999", "--count", "2", cwd=tmp_path)
    assert done.returncode == 2
    assert "seeds go up to 99999999" in done.stderr
