"""The contact sheet: which cases it takes and what it writes under them."""

import numpy as np
import pytest

from training.phantom.dataset import PhantomDataset
from training.phantom.findings import Findings, labels
from training.phantom.sheet import caption, cases, draw_sheet


def test_cases_are_those_of_the_data_set() -> None:
    dataset = PhantomDataset(3, 2, 128)
    for picture in cases(3, 2, 128):
        assert picture.findings == dataset[picture.index].findings
        assert picture.report == dataset[picture.index].report
        np.testing.assert_array_equal(picture.image, dataset[picture.index].image)


def test_only_cases_with_the_findings_asked_for_are_taken() -> None:
    pictures = list(cases(3, 2, 128, view="PA", kinds=["nodule", "effusion"]))
    assert len(pictures) == 3
    for picture in pictures:
        shown = labels(picture.findings)
        assert shown["nodule"]
        assert shown["effusion"]
        assert picture.findings.patient.view == picture.view == "PA"


def test_a_caption_has_a_line_for_each_abnormality() -> None:
    findings = Findings(nodule="left_upper_mass", effusion_right="small", gastric_tube="oesophagus")
    assert caption(findings) == [
        "gastric tube, oesophagus, malplaced",
        "mass, left, upper",
        "effusion, right, small",
    ]
    assert caption(Findings()) == ["normal"]


def test_a_sheet_is_a_grid_with_room_for_captions() -> None:
    pictures = list(cases(3, 1, 128))
    sheet = draw_sheet(pictures, 2)
    assert sheet.width == 256
    assert sheet.height > 256
    drawn = np.asarray(sheet)
    np.testing.assert_array_equal(drawn[:128, 128:], pictures[1].image)
    assert drawn[128 : sheet.height // 2, :128].max() > 200


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one case"):
        draw_sheet([], 4)
