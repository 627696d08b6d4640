"""Confidence fitted on half of the drafts holds on the other half."""

import numpy as np
import pytest

from echo_node.model.checkpoint import load
from echo_node.model.decoding.canvas import Decoded
from training.evaluation.calibrate import Judged, expected_calibration_error, fit, judge, reliability
from training.phantom.findings import Findings
from training.phantom.language.grammar import write_report


def _sentences(seed: int, count: int = 4000) -> Judged:
    """Sentences whose model is too sure of itself: of likelihood x, only x squared are right."""
    rng = np.random.default_rng(seed)
    likelihood = rng.uniform(0, 1, count)
    right = rng.uniform(0, 1, count) < likelihood**2
    return Judged(tuple(likelihood.tolist()), tuple(right.tolist()))


def test_the_fitted_map_is_near_the_truth_on_other_sentences() -> None:
    calibration = fit(_sentences(0), "made up")
    held_out = _sentences(1)
    assert expected_calibration_error(reliability(held_out, calibration)) < 0.03
    assert calibration(0.5) == pytest.approx(0.25, abs=0.06)


def test_sentences_that_are_all_right_still_give_a_map() -> None:
    judged = Judged(tuple(np.linspace(0.9, 1, 50).tolist()), (True,) * 50)
    assert fit(judged, "made up")(0.95) == 1.0


def test_likelihoods_next_to_nothing_and_next_to_one_are_told_apart() -> None:
    least, most = np.geomspace(1e-12, 1e-9, 300), 1 - np.geomspace(1e-9, 1e-12, 300)
    likelihood = np.concatenate([least, most])
    calibration = fit(
        Judged(tuple(likelihood), tuple(np.arange(600) % 300 > np.arange(600)[::-1] % 300)), "test"
    )
    assert calibration(1e-12) <= calibration(1e-9) <= calibration(1.0)


def test_a_true_sentence_is_right_and_a_false_or_garbled_one_is_not() -> None:
    tokenizer = load("echo-demo").tokenizer
    truth = Findings.normal()
    text = write_report(truth, np.random.default_rng(0)).text
    garbled = text.replace("Impression:", "The lung lung. Impression:")

    def draft(words: str) -> Decoded:
        tokens = tuple(tokenizer(words, add_special_tokens=False)["input_ids"])
        return Decoded(tokens, (0.9,) * len(tokens), "eos", 1)

    assert all(judge([draft(text)], [truth], tokenizer).right)
    assert judge([draft(garbled)], [truth], tokenizer).right.count(False) == 1
    sick = Findings(heart="markedly_enlarged")
    assert False in judge([draft(text)], [sick], tokenizer).right
