"""The garble measure finds each fault, and none in reports of the phantom grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.report_text.garble import KINDS, faults, faults_of_sentence, garble
from echo_node.report_text.words import words
from training.phantom.dataset import PhantomDataset

CLEAN = "Findings: The lungs are clear. The heart is normal. Impression: No acute abnormality."
VOCABULARY = frozenset(words(CLEAN)) | {"left", "right", "effusion", "on", "the", "lower", "lobe"}


@pytest.mark.parametrize(
    ("kind", "text", "count"),
    [
        ("repeated_words", CLEAN.replace("The heart", "The the heart"), 1),
        ("repeated_words", CLEAN.replace("The heart", "Left left left effusion"), 2),
        ("repeated_words", CLEAN.replace("are clear", "on the right, right lower lobe"), 0),
        ("repeated_phrases", CLEAN.replace("The heart", "The heart is the heart is the heart"), 2),
        ("repeated_phrases", CLEAN.replace("lungs are", "lungs are clear lungs are"), 1),
        ("broken_words", CLEAN.replace("lungs", "righturaluralusion"), 1),
        ("broken_words", CLEAN.replace("lungs", "3 lungs"), 0),
        ("repeated_sentences", CLEAN.replace("The heart is normal.", "The lungs are clear."), 1),
        ("unparsable_sections", CLEAN.replace("Impression: ", ""), 1),
        ("unparsable_sections", CLEAN.replace("Findings: ", ""), 2),  # missing, and text outside
        ("unparsable_sections", "", 2),
        ("unparsable_sections", CLEAN + " Impression: Normal.", 1),
        ("unparsable_sections", "Findings: Impression: Normal.", 1),
        ("unfinished", CLEAN.removesuffix("."), 1),
        ("unfinished", "", 1),
    ],
)
def test_each_kind_is_counted(kind: str, text: str, count: int) -> None:
    assert faults(text, VOCABULARY)[kind] == count


def test_a_clean_report_has_no_fault() -> None:
    assert not any(faults(CLEAN, VOCABULARY).values())


def test_reports_of_the_grammar_have_no_faults() -> None:
    dataset = PhantomDataset(100, seed=3)
    reports = [dataset.truth(index)[1].text for index in range(100)]
    assert garble(reports, {word for report in reports for word in words(report)}).garbled == 0


def test_rates_are_per_draft_and_per_100_words() -> None:
    measured = garble([CLEAN, CLEAN.replace("heart", "heart heart")], VOCABULARY)
    assert measured.garbled == 0.5
    assert measured.per_100_words == pytest.approx(100 / (2 * len(words(CLEAN)) + 1))
    assert measured.by_kind()["repeated_words"][1] == 0.5
    assert measured.by_kind()["unfinished"] == (0, 0)


def test_without_a_vocabulary_no_word_is_broken() -> None:
    assert faults_of_sentence("Xyzzy is plugh.", frozenset())["broken_words"] == 0


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    found = faults(text, VOCABULARY)
    assert list(found) == list(KINDS)
    assert all(count >= 0 for count in found.values())
