"""The data set: any case in any order, the same everywhere, and never torch."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.phantom.dataset import PhantomCase, PhantomDataset
from training.phantom.parser import score


def same(one: PhantomCase, other: PhantomCase) -> bool:
    return (
        one.findings == other.findings
        and one.report == other.report
        and np.array_equal(one.image, other.image)
    )


@given(seed=st.integers(0, 2**31), index=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_a_case_depends_on_seed_and_index_alone(seed: int, index: int) -> None:
    small, large = PhantomDataset(index + 1, seed, 128), PhantomDataset(10**7, seed, 128)
    assert same(small[index], large[index])


@given(seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_a_case_agrees_with_its_report_and_with_its_truth(seed: int) -> None:
    cases = PhantomDataset(3, seed, 128)
    for index, case in enumerate(cases):
        assert score(case.report.text, case.findings).facts_right == 6
        assert cases.truth(index) == (case.findings, case.report)


def test_seeds_and_indices_give_different_cases() -> None:
    images = [PhantomDataset(2, seed)[index].image.tobytes() for seed in (0, 1) for index in (0, 1)]
    assert len(set(images)) == 4


def test_it_is_a_sequence() -> None:
    cases = PhantomDataset(5, 9, 128)
    assert len(cases) == 5
    assert same(cases[-1], cases[4])
    assert [case.report for case in cases] == [case.report for case in cases[0:5]]
    assert [case.report for case in cases[1:4:2]] == [cases[1].report, cases[3].report]


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_outside_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=f"case {index} of a phantom set of 3"):
        PhantomDataset(3, 0)[index]


@pytest.mark.parametrize(("count", "seed"), [(-1, 0), (1, -1)])
def test_negative_counts_and_seeds_are_refused(count: int, seed: int) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        PhantomDataset(count, seed)


def test_the_image_has_the_size_asked_for() -> None:
    assert PhantomDataset(1, 0)[0].image.shape == (224, 224)
    assert PhantomDataset(1, 0, 160)[0].image.shape == (160, 160)


def test_torch_is_not_needed() -> None:
    program = (
        "import sys, training.phantom.dataset, training.phantom.parser; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
