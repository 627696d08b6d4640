"""Findings: only known values, plausible together, balanced enough that always saying normal does not pay."""

from collections import Counter
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.phantom.findings import FACTS, NORMAL_STUDY_SHARE, Findings, is_plausible, sample_findings

SEEDS = st.integers(min_value=0, max_value=2**32 - 1)


@pytest.fixture(scope="module")
def population() -> list[Findings]:
    rng = np.random.default_rng(11)
    return [sample_findings(rng) for _ in range(3000)]


def test_there_is_one_field_for_each_fact_in_reading_order() -> None:
    assert [field.name for field in fields(Findings)] == list(FACTS)
    assert list(Findings.normal().as_dict()) == list(FACTS)


def test_the_normal_study_has_every_first_value() -> None:
    normal = Findings.normal()
    assert normal.as_dict() == {fact: values[0] for fact, values in FACTS.items()}
    assert all(normal.is_normal(fact) for fact in FACTS)
    assert not replace(normal, heart="mildly_enlarged").is_normal("heart")


@pytest.mark.parametrize("fact", FACTS)
def test_an_unknown_value_is_refused_by_name(fact: str) -> None:
    with pytest.raises(ValueError, match=rf"{fact} cannot be 'purple'.*{FACTS[fact][1]}"):
        replace(Findings.normal(), **{fact: "purple"})


def test_findings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Findings.normal().heart = "mildly_enlarged"  # type: ignore[misc]


@pytest.mark.parametrize(
    "hidden",
    [
        {"effusion": "large_right", "opacity": "right_lower"},
        {"effusion": "large_left", "opacity": "bilateral_lower"},
        {"effusion": "large_left", "pneumothorax": "left"},
        {"pneumothorax": "right", "opacity": "right_upper"},
    ],
)
def test_combinations_that_hide_a_finding_are_implausible(hidden: dict[str, str]) -> None:
    assert not is_plausible(replace(Findings.normal(), **hidden))


@pytest.mark.parametrize(
    "visible",
    [
        {},
        {"effusion": "large_right", "opacity": "left_lower"},
        {"effusion": "large_right", "opacity": "right_upper"},
        {"effusion": "small_left", "opacity": "left_lower"},
        {"effusion": "large_left", "pneumothorax": "right"},
        {"effusion": "bilateral", "pneumothorax": "right"},
        {"pneumothorax": "right", "opacity": "left_upper"},
    ],
)
def test_combinations_that_can_be_told_apart_are_plausible(visible: dict[str, str]) -> None:
    assert is_plausible(replace(Findings.normal(), **visible))


@settings(deadline=None)
@given(SEEDS)
def test_every_draw_is_plausible_and_repeatable(seed: int) -> None:
    findings = sample_findings(np.random.default_rng(seed))
    assert is_plausible(findings)
    assert findings == sample_findings(np.random.default_rng(seed))


def test_values_are_roughly_balanced(population: list[Findings]) -> None:
    for fact, values in FACTS.items():
        counts = Counter(findings.as_dict()[fact] for findings in population)
        for value in values:
            assert counts[value] / len(population) > 0.6 / len(values), (fact, value)


def test_always_answering_normal_gets_under_45_percent_of_the_facts(population: list[Findings]) -> None:
    shares = [np.mean([findings.is_normal(fact) for fact in FACTS]) for findings in population]
    assert np.mean(shares) < 0.45


def test_some_studies_are_wholly_normal(population: list[Findings]) -> None:
    share = sum(findings == Findings.normal() for findings in population) / len(population)
    assert share == pytest.approx(NORMAL_STUDY_SHARE, abs=0.02)
