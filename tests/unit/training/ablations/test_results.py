"""Figures over seeds, and where a draft ends."""

import numpy as np
import pytest

from echo_node.model.decoding.canvas import Decoded, Ending
from training.ablations.measure import METRICS
from training.ablations.plan import AblationPlan
from training.ablations.results import Failure, Measurement, Spread, markdown, spreads_of
from training.evaluation.cases import ReportCases
from training.evaluation.drafting import DraftSet
from training.evaluation.evaluate import Plan, result_of


def _measured(variant: str, seed: int, coherent: float | None) -> Measurement:
    metrics = dict.fromkeys(METRICS, 0.25) | {"coherent_sentences": coherent}
    return Measurement(variant, seed, "one_step", "folder", metrics)


def test_the_spread_is_the_mean_the_lowest_and_the_highest() -> None:
    spread = Spread.of([0.5, 0.9, None, 0.7])
    assert spread is not None
    assert (spread.count, spread.low, spread.high) == (3, 0.5, 0.9)
    assert spread.mean == pytest.approx(0.7)
    assert str(spread) == "0.700 (0.500–0.900)"
    assert str(Spread.of([0.25])) == "0.250"
    assert Spread.of([None]) is None


def test_the_table_has_a_row_for_each_variant_with_its_own_seeds(plan: AblationPlan) -> None:
    measured = [_measured("dcd", seed, value) for seed, value in ((0, 0.2), (1, 0.4), (2, 0.9))]
    measured.append(_measured("dcd-no-eos-term", 0, None))
    page = markdown(plan, measured, [Failure("dcd-no-eos-term", 1, "it broke")], 64, ["eos-term"])
    assert "64 held-out phantoms; seeds 0, 1, 2." in page
    assert "| dcd | one_step | 3 | 0.500 (0.200–0.900) | 0.250 (0.250–0.250) |" in page
    assert "| dcd-no-eos-term | one_step | 1 | – | 0.250 |" in page
    assert "(eos-term.svg)" in page
    assert "- dcd-no-eos-term, seed 1: it broke" in page
    assert "## teacher" not in page


def test_seeds_are_not_mixed_between_variants() -> None:
    spreads = spreads_of([_measured("a", 0, 0.1), _measured("b", 0, 0.3), _measured("a", 1, 0.2)])
    spread = spreads["a", "one_step"]["coherent_sentences"]
    assert spread is not None
    assert (spread.count, spread.low, spread.high) == (2, 0.1, 0.2)


@pytest.mark.parametrize(
    ("text", "ending", "accuracy"),
    [
        ("Findings: The heart is normal. Impression: Normal.", "eos", 1),
        ("Findings: The heart is normal. Impression: Normal.", "length", 0),
        ("Findings: The heart is normal. Impression: Normal.", "loop", 0),
        ("Findings: The heart is normal. Impression: Nor", "eos", 0),
        ("Findings: The heart is normal.", "eos", 0),
    ],
)
def test_an_end_counts_where_a_report_may_end(
    text: str, ending: Ending, accuracy: int, cases: ReportCases
) -> None:
    good = "Findings: The heart is normal. Impression: Normal."
    decoded = tuple(Decoded((1,), (0.5,), end, 1) for end in (ending, "eos"))
    row = result_of("x", DraftSet((text, good), decoded), cases, Plan(0, 0.7), lambda _: None).row
    assert row["eos_accuracy"] == (accuracy + 1) / 2
    assert row["ended"] == np.mean([ending == "eos", True])
