"""F1 by class: bounds, what a perfect and an always-normal answer get, and the intervals."""

import math
from random import Random
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.metrics.bootstrap import interval, resamples
from training.evaluation.metrics.findings import ClassScore, Labels, finding_scores

NAMES = ("effusion", "opacity", "pneumothorax")
STATUSES: tuple[Literal["positive", "negative", "uncertain"] | None, ...] = (
    "positive", "negative", "uncertain", None,
)  # fmt: skip

studies = st.fixed_dictionaries({name: st.sampled_from(STATUSES) for name in NAMES})
pairs = st.lists(st.tuples(studies, studies), min_size=1, max_size=20)


def _scores(of_pairs: list[tuple[Labels, Labels]], seed: int = 0) -> dict[str, ClassScore]:
    scores = finding_scores([d for d, _ in of_pairs], [r for _, r in of_pairs], seed)
    return {score.name: score for score in (*scores.classes, scores.micro, scores.macro)}


@settings(deadline=None, max_examples=20)
@given(pairs)
def test_every_defined_figure_and_bound_is_between_0_and_1(of_pairs: list[tuple[Labels, Labels]]) -> None:
    for score in _scores(of_pairs).values():
        for figure in (score.precision, score.recall, score.f1):
            values = (figure.point, figure.low, figure.high)
            assert all(math.isnan(v) for v in values) or (
                0 <= figure.low <= figure.high <= 1 and 0 <= figure.point <= 1
            )


@settings(deadline=None, max_examples=20)
@given(st.lists(studies, min_size=1, max_size=20))
def test_the_reference_itself_is_perfect_wherever_anything_is_present(references: list[Labels]) -> None:
    for score in _scores([(reference, reference) for reference in references]).values():
        for figure in (score.precision, score.recall, score.f1):
            assert math.isnan(figure.point) if not score.support else figure.point == 1
            assert math.isnan(figure.low) if not score.support else figure.low == 1


@settings(deadline=None, max_examples=15)
@given(pairs, st.randoms())
def test_the_order_of_studies_changes_no_point(of_pairs: list[tuple[Labels, Labels]], random: Random) -> None:
    shuffled = random.sample(of_pairs, len(of_pairs))
    before, after = _scores(of_pairs), _scores(shuffled)
    for name, score in before.items():
        assert after[name].f1.point == pytest.approx(score.f1.point, nan_ok=True)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.2, 0.8), st.floats(0.1, 0.5))
def test_an_interval_holds_its_point(seed: int, prevalence: float, error: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random((200, 3)) < prevalence
    drafted = truth ^ (rng.random((200, 3)) < error)
    for score in _scores([(_labels(d), _labels(t)) for d, t in zip(drafted, truth, strict=True)]).values():
        for figure in (score.precision, score.recall, score.f1):
            assert figure.low <= figure.point <= figure.high
            assert figure.high - figure.low < 0.6


def _labels(flags: np.ndarray) -> Labels:
    return {name: "positive" if flag else "negative" for name, flag in zip(NAMES, flags, strict=True)}


def test_counts_and_figures_by_hand() -> None:
    references: list[Labels] = [{"effusion": "positive"}, {"effusion": "positive"}, {"effusion": "negative"}]
    drafts: list[Labels] = [{"effusion": "positive"}, {"effusion": None}, {"effusion": "uncertain"}]
    score = finding_scores(drafts, references, 0).classes[0]
    assert (score.support, score.drafted) == (2, 2)
    assert (score.precision.point, score.recall.point, score.f1.point) == (0.5, 0.5, 0.5)


def test_an_answer_that_finds_nothing_has_f1_0_and_not_none() -> None:
    scores = _scores([({"opacity": None}, {"opacity": "positive"})] * 4)
    assert scores["micro"].f1.point == scores["macro"].f1.point == 0


def test_a_class_that_nobody_names_is_left_out_of_macro_and_is_null_in_json() -> None:
    scores = _scores([({"a": "positive", "b": None}, {"a": "positive", "b": "negative"})])
    assert scores["macro"].f1.point == 1
    assert scores["b"].as_dict()["f1"] == {"point": None, "low": None, "high": None}


def test_the_seed_settles_the_interval() -> None:
    of_pairs: list[tuple[Labels, Labels]]
    of_pairs = [({"a": "positive"}, {"a": "positive" if i % 3 else None}) for i in range(30)]
    assert _scores(of_pairs, 1)["a"] == _scores(of_pairs, 1)["a"] != _scores(of_pairs, 2)["a"]


def test_sets_of_unequal_size_are_refused() -> None:
    with pytest.raises(ValueError, match="2 drafts cannot be scored against 1 references"):
        finding_scores([{}, {}], [{}], 0)


def test_the_interval_is_as_wide_as_the_normal_approximation_says() -> None:
    flags = np.random.default_rng(0).random(400) < 0.3
    drawn = resamples(400, 1) @ flags / 400
    found = interval(float(flags.mean()), drawn)
    error = math.sqrt(0.3 * 0.7 / 400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)
