"""The data set: a case depends on its seed and index alone, and its views show one body."""

import subprocess
import sys

import numpy as np
import pytest

from training.phantom.dataset import PhantomDataset
from training.phantom.language.parser import parse_report


def test_a_case_is_the_same_whoever_makes_it() -> None:
    one, other = PhantomDataset(5, 3, 128)[2], PhantomDataset(50, 3, 128)[2]
    np.testing.assert_array_equal(one.image, other.image)
    assert (one.findings, one.report) == (other.findings, other.report)


def test_the_truth_needs_no_image_and_the_view_is_the_cases() -> None:
    dataset = PhantomDataset(3, 8, 128)
    case = dataset[1]
    assert dataset.truth(1) == (case.findings, case.report)
    np.testing.assert_array_equal(dataset.view(1, case.findings.patient.view), case.image)
    assert np.abs(dataset.view(1, "LATERAL").astype(float) - case.image).mean() > 10


def test_the_language_changes_the_words_only() -> None:
    english, chinese = (PhantomDataset(1, 4, 128, language)[0] for language in ("en", "zh"))
    np.testing.assert_array_equal(english.image, chinese.image)
    assert english.findings == chinese.findings
    assert parse_report(english.report.text).facts() == parse_report(chinese.report.text).facts()


def test_it_is_a_sequence() -> None:
    dataset = PhantomDataset(3, 1, 128)
    assert len(dataset) == len(list(dataset)) == 3
    assert [case.findings for case in dataset[1:]] == [dataset[1].findings, dataset[-1].findings]
    with pytest.raises(IndexError, match="case 3 is out of range: the set has 3 cases"):
        dataset[3]
    with pytest.raises(ValueError, match="must not be negative"):
        PhantomDataset(-1, 0)


def test_torch_is_not_needed() -> None:
    modules = "training.phantom.dicom_study, training.phantom.sheet, training.evaluation.vocabulary"
    subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; sys.exit('torch' in sys.modules)"], check=True
    )
