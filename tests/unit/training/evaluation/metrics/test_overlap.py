"""Overlap of words: the libraries' own numbers, and what happens without them."""

import shutil
import sys

import pytest

from echo_node.report_text.words import words
from training.evaluation.metrics import meteor as meteor_module
from training.evaluation.metrics.cider import cider
from training.evaluation.metrics.meteor import meteor, why_not
from training.evaluation.metrics.overlap import overlap
from training.phantom.dataset import PhantomDataset

NOTED: list[str] = []


def _reports(seed: int, count: int = 12) -> list[str]:
    dataset = PhantomDataset(count, seed)
    return [dataset.truth(index)[1].text for index in range(count)]


def test_equal_texts_get_the_highest_scores() -> None:
    reports = _reports(1)
    figures = overlap(reports, reports, NOTED.append)
    assert figures.pop("cider") > 9.9
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0))
    assert set(figures) == {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l"}


def test_longer_n_grams_are_harder() -> None:
    figures = overlap(_reports(1), _reports(2), NOTED.append)
    bleu = [figures[f"bleu_{order}"] for order in (1, 2, 3, 4)]
    assert bleu == sorted(bleu, reverse=True)
    assert 0 < bleu[-1] < bleu[0] < 1
    assert 0 < figures["rouge_l"] < 1


def test_bleu_of_the_whole_is_that_of_sacrebleu() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    drafts, references = _reports(1), _reports(2)
    for order in (1, 4):
        bleu = sacrebleu.BLEU(lowercase=True, max_ngram_order=order, force=True)
        expected = bleu.corpus_score(drafts, [references]).score / 100
        assert overlap(drafts, references, NOTED.append)[f"bleu_{order}"] == pytest.approx(expected)


def test_rouge_is_that_of_rouge_score() -> None:
    scoring = pytest.importorskip("rouge_score.rouge_scorer")
    drafts, references = _reports(1), _reports(2)
    scorer = scoring.RougeScorer(["rougeL"], use_stemmer=True)
    pairs = zip(references, drafts, strict=True)
    expected = sum(scorer.score(r, d)["rougeL"].fmeasure for r, d in pairs) / len(drafts)
    assert overlap(drafts, references, NOTED.append)["rouge_l"] == pytest.approx(expected)


def test_empty_drafts_score_0() -> None:
    figures = overlap([""] * 3, _reports(1, 3), NOTED.append)
    assert set(figures.values()) == {0}


def test_cider_is_that_of_pycocoevalcap() -> None:
    scoring = pytest.importorskip("pycocoevalcap.cider.cider")
    drafts, references = _reports(1), _reports(2)
    said, meant = ({i: [" ".join(words(t))] for i, t in enumerate(s)} for s in (drafts, references))
    assert cider(drafts, references) == pytest.approx(scoring.Cider().compute_score(meant, said)[0])


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "METEOR is here")
@pytest.mark.slow
def test_meteor_is_1_for_equal_texts_and_less_for_others() -> None:
    reports = _reports(1, 3)
    assert meteor(reports, reports) == pytest.approx(1.0, abs=0.01)
    assert 0 < meteor(_reports(2, 3), reports) < 0.8


def test_what_is_not_installed_is_left_out_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sacrebleu", "rouge_score"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("training.evaluation.metrics.overlap.find_spec", lambda name: None)
    noted: list[str] = []
    assert set(overlap(_reports(1), _reports(2), noted.append)) == {"cider"}
    assert noted == [
        "BLEU is left out: pip install 'echo-node[metrics]'",
        "ROUGE-L is left out: pip install 'echo-node[metrics]'",
    ]


def test_without_java_meteor_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "default-jre-headless" in why_not()


def test_without_the_package_meteor_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(meteor_module, "find_spec", lambda name: None)
    assert why_not() == "METEOR is left out: pip install 'echo-node[meteor]'"
