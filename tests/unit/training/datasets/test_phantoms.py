"""Phantoms on disk: the same cases as made on the fly, a split each, and nothing rendered twice."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echo_node.errors import ConfigError
from echo_node.inference.image import ImagePreparation
from training.datasets import phantoms
from training.datasets.card import write_card
from training.datasets.check import check
from training.datasets.example import report_text
from training.datasets.folder import FolderExamples
from training.datasets.phantoms import Phantoms, write
from training.datasets.shards import Dataset
from training.phantom.dataset import PhantomDataset
from training.phantom.findings import CLASSES, labels

SIX = Phantoms(6, seed=5, size=128, validation=0.3, test=0.2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write four, and then go on to six."""
    out = tmp_path_factory.mktemp("data") / "phantoms"
    write(replace(SIX, count=4), out)
    write(SIX, out)
    return out


def test_rows_are_the_cases_of_the_data_set_in_their_order(folder: Path) -> None:
    rows, cases = Dataset(folder).rows, PhantomDataset(6, 5, 128)
    assert [row.report for row in rows] == [case.report.text for case in cases]
    assert [row.view for row in rows] == [case.findings.patient.view for case in cases]
    assert [row.split for row in rows] == [SIX.split(index) for index in range(6)]
    assert len({row.patient_id for row in rows}) == 6
    assert check(folder) == []


def test_what_is_trained_on_is_what_would_be_made_on_the_fly(folder: Path) -> None:
    rows, cases = Dataset(folder).rows, PhantomDataset(6, 5, 128)
    for split in {row.split for row in rows}:
        indices = [index for index, row in enumerate(rows) if row.split == split]
        examples = FolderExamples(folder, split, ImagePreparation(resize="square", side=128))
        images = examples.images(range(len(examples)))
        np.testing.assert_array_equal(images, [cases[index].image for index in indices])
        assert [examples.report(place, 0) for place in range(len(examples))] == [
            cases[index].report.text for index in indices
        ]


def test_what_is_there_is_not_rendered_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(phantoms, "ProcessPoolExecutor", refuse)
    told: list[int] = []
    assert write(SIX, folder, told.append) == Dataset(folder).facts
    assert sum(told) == 6


@pytest.mark.parametrize(
    "other",
    [
        replace(SIX, seed=6),
        replace(SIX, size=129),
        replace(SIX, language="zh"),
        replace(SIX, test=0.9),
        replace(SIX, count=5),
    ],
)
def test_a_folder_of_other_phantoms_is_refused(folder: Path, other: Phantoms) -> None:
    with pytest.raises(ConfigError, match="the folder contains other rows than these phantoms"):
        write(other, folder)


def test_the_card_counts_what_is_truly_shown(folder: Path) -> None:
    text = write_card(folder).read_text(encoding="utf-8")
    shown = Counter(
        kind for case in PhantomDataset(6, 5, 128) for kind, there in labels(case.findings).items() if there
    )
    tables = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if "|" in line]
    last = {cells[1]: cells[-2] for cells in tables}
    assert "Computer-made chests of seed 5, 128 pixels a side" in text
    assert all(last[kind.replace("_", " ")] == str(shown[kind]) for kind in CLASSES)


def test_patients_go_to_the_splits_by_their_shares() -> None:
    many = Phantoms(2000, seed=1, validation=0.3, test=0.2)
    counts = Counter(many.split(index) for index in range(2000))
    assert counts["validation"] == pytest.approx(600, abs=60)
    assert counts["test"] == pytest.approx(400, abs=60)
    assert {replace(many, validation=0, test=1).split(index) for index in range(50)} == {"test"}


def test_chinese_reports_are_the_world_s_own_too() -> None:
    for index in range(20):
        report = PhantomDataset(20, 3, language="zh").truth(index)[1]
        assert report_text(report.findings_text, report.impression_text, "zh") == report.text
