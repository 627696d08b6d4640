"""The truth: facts and findings agree; samples are plausible, varied and frequent enough."""

from collections import Counter
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from training.phantom.findings import (
    CLASSES,
    FACTS,
    MALPOSITIONS,
    REGIONS,
    Finding,
    Findings,
    Patient,
    kind_of,
    labels,
)
from training.phantom.prevalence import PREVALENCE, is_plausible, sample_findings

ABNORMAL = [(fact, value) for fact, values in FACTS.items() for value in values[1:]]


@pytest.fixture(scope="module")
def drawn() -> list[Findings]:
    rng = np.random.default_rng(3)
    return [sample_findings(rng) for _ in range(6000)]


def test_every_fact_belongs_to_one_region_and_every_class_has_facts() -> None:
    assert [fact for facts in REGIONS.values() for fact in facts] == list(FACTS)
    assert {kind_of(fact) for fact in FACTS} == set(CLASSES)
    assert len(CLASSES) == 13


def test_a_healthy_chest_shows_nothing() -> None:
    findings = Findings.normal(Patient(30, "F", "slim", "AP"))
    assert findings.found() == ()
    assert not any(labels(findings).values())


@pytest.mark.parametrize(("fact", "value"), ABNORMAL)
def test_an_abnormal_value_is_one_finding_of_its_class(fact: str, value: str) -> None:
    findings = replace(Findings.normal(), patient=Patient(), **{fact: value})
    (finding,) = findings.found()
    assert [kind for kind, shown in labels(findings).items() if shown] == [finding.kind]
    assert finding.kind == kind_of(fact)
    assert finding.malposition == ((fact, value) in MALPOSITIONS)
    for side in ("right", "left"):
        if fact.endswith(side):
            assert finding.side == side


@pytest.mark.parametrize(
    ("fact", "value", "finding"),
    [
        ("nodule", "left_middle_mass", Finding("nodule", "left", "middle", "mass")),
        ("effusion_right", "small", Finding("effusion", "right", size="small")),
        ("heart", "markedly_enlarged", Finding("cardiomegaly", size="marked")),
        ("central_line", "left_atrium", Finding("central_line", "left", "atrium", malposition=True)),
        ("pacemaker", "right_dual", Finding("pacemaker", "right", size="dual")),
        ("consolidation_left", "lingula", Finding("consolidation", "left", "lingula")),
        ("endotracheal_tube", "satisfactory", Finding("endotracheal_tube", "", "satisfactory")),
    ],
)
def test_findings_tell_side_place_and_size(fact: str, value: str, finding: Finding) -> None:
    assert replace(Findings.normal(), patient=Patient(), **{fact: value}).found() == (finding,)


def test_a_value_that_a_fact_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="heart cannot be 'huge': choose one of normal"):
        Findings(heart="huge")
    with pytest.raises(ValueError, match="choose an age from 18 to 100"):
        Patient(age=7)


def test_findings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Findings().heart = "normal"  # type: ignore[misc]


def test_what_is_drawn_is_plausible_and_possible_in_its_view(drawn: list[Findings]) -> None:
    assert all(is_plausible(findings) for findings in drawn)
    for findings in drawn:
        if findings.patient.view == "PA":
            assert (findings.endotracheal_tube, findings.gastric_tube) == ("none", "none")


@pytest.mark.parametrize(
    "hidden",
    [
        {"effusion_right": "large", "consolidation_right": "lower"},
        {"pneumothorax_left": "large", "nodule": "left_upper_mass"},
        {"pneumothorax_right": "small", "pneumothorax_left": "small"},
        {"hyperinflation": "present", "oedema": "alveolar"},
    ],
)
def test_what_hides_or_excludes_another_finding_is_implausible(hidden: dict[str, str]) -> None:
    assert not is_plausible(Findings(patient=Patient(), **hidden))
    for fact, value in hidden.items():
        assert is_plausible(Findings(patient=Patient(), **{fact: value}))


def test_every_value_is_drawn_and_every_class_is_frequent(drawn: list[Findings]) -> None:
    values = Counter(pair for findings in drawn for pair in findings.as_dict().items())
    assert [pair for pair in ABNORMAL if values[pair] < 12] == []
    shown = Counter(kind for findings in drawn for kind, there in labels(findings).items() if there)
    assert min(shown[kind] / len(drawn) for kind in CLASSES) > 0.06


def test_some_studies_are_normal_and_many_show_several_findings(drawn: list[Findings]) -> None:
    normal = sum(not findings.abnormal for findings in drawn) / len(drawn)
    several = sum(len(findings.abnormal) > 1 for findings in drawn) / len(drawn)
    assert 0.10 < normal < 0.25
    assert several > 0.5


def test_the_prevalence_table_has_a_share_for_each_abnormal_value() -> None:
    for table in PREVALENCE.values():
        assert list(table) == list(FACTS)
        for fact, shares in table.items():
            assert len(shares) in (0, len(FACTS[fact]) - 1)
            assert sum(shares) < 1
