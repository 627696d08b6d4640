"""The parser: everything the grammar writes is read back; everything else is found incoherent or wrong."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.phantom.findings import FACTS, Findings, sample_findings
from training.phantom.grammar import key_positives, write_report
from training.phantom.parser import ReportScore, findings_meanings, parse_report, score
from training.phantom.phrasebook import FINDINGS_SENTENCES, NORMAL_IMPRESSIONS

SEEDS = st.integers(min_value=0, max_value=2**32 - 1)
PERFECT = ReportScore(sentences=7, coherent=7, facts=6, facts_right=6, contradictions=0)
NORMAL_TEXT = (
    "Findings: There are no support devices. The lungs are clear. No pleural effusion is seen. "
    "There is no pneumothorax. Heart size is normal. The bones are intact. Impression: No acute abnormality."
)


def draw(seed: int) -> tuple[Findings, str]:
    rng = np.random.default_rng(seed)
    findings = sample_findings(rng)
    return findings, write_report(findings, rng).text


def place_in(text: str, share: float) -> int:
    """Pick a word that is not a header."""
    places = [place for place, word in enumerate(text.split()) if not word.endswith(":")]
    return places[int(share * (len(places) - 1))]


@settings(deadline=None)
@given(SEEDS)
def test_every_written_report_is_coherent_and_right(seed: int) -> None:
    findings, text = draw(seed)
    assert score(text, findings) == PERFECT


@settings(deadline=None)
@given(SEEDS)
def test_the_parser_finds_the_statements_of_both_sections(seed: int) -> None:
    findings, text = draw(seed)
    report = parse_report(text)
    assert [sentence.statements for sentence in report.findings] == [
        (pair,) for pair in findings.as_dict().items()
    ]
    (impression,) = report.impression
    assert set(impression.statements) == set(key_positives(findings))


def test_no_sentence_means_two_things() -> None:
    counts = Counter(
        sentence
        for values in FINDINGS_SENTENCES.values()
        for sentences in values.values()
        for sentence in sentences
    )
    assert max(counts.values()) == 1
    assert len(findings_meanings()) == len(counts)
    assert not set(counts) & set(NORMAL_IMPRESSIONS)


@settings(deadline=None)
@given(SEEDS, st.floats(0, 1))
def test_a_doubled_word_makes_one_sentence_incoherent(seed: int, share: float) -> None:
    findings, text = draw(seed)
    parts = text.split()
    place = place_in(text, share)
    assume(not parts[place].endswith("."))
    parts.insert(place, parts[place])
    assert score(" ".join(parts), findings).coherent == 6


@settings(deadline=None)
@given(SEEDS, st.floats(0, 1))
def test_a_missing_word_is_never_unnoticed(seed: int, share: float) -> None:
    findings, text = draw(seed)
    parts = text.split()
    del parts[place_in(text, share)]
    result = score(" ".join(parts), findings)
    assert result.coherent < result.sentences or result.facts_right < 6 or result.contradictions


@settings(deadline=None)
@given(SEEDS, st.floats(0, 1), st.floats(0, 1))
def test_two_swapped_words_of_a_sentence_make_it_incoherent(seed: int, share: float, other: float) -> None:
    findings, text = draw(seed)
    parts = text.split()
    first, second = place_in(text, share), place_in(text, other)
    assume(parts[first] != parts[second])
    parts[first], parts[second] = parts[second], parts[first]
    result = score(" ".join(parts), findings)
    assert result.coherent < result.sentences or result.facts_right < 6 or result.contradictions


@settings(deadline=None)
@given(SEEDS)
def test_changing_every_side_is_never_right(seed: int) -> None:
    findings, text = draw(seed)
    assume(re.search(r"\b(left|right)\b", text.partition("Impression:")[0]))
    opposite = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    mirrored = re.sub(r"\b([Ll]eft|[Rr]ight)\b", lambda match: opposite[match[0]], text)
    result = score(mirrored, findings)
    assert result.facts_right < 6
    assert result.contradictions == 0


@settings(deadline=None)
@given(st.text())
def test_any_text_is_scored(text: str) -> None:
    result = score(text, Findings.normal())
    assert 0 <= result.coherent <= result.sentences
    assert result.facts == len(FACTS)


@settings(deadline=None)
@given(SEEDS, st.integers(0, 400))
def test_a_cut_off_report_keeps_its_whole_sentences(seed: int, end: int) -> None:
    findings, text = draw(seed)
    cut = text[:end]
    whole = sum(
        sentence in cut for sentence in re.split(r"(?<=\.) ", text.partition(": ")[2].partition(" Imp")[0])
    )
    assert score(cut, findings).facts_right == whole


def test_the_empty_text_has_no_sentence() -> None:
    assert score("", Findings.normal()) == ReportScore(0, 0, 6, 0, 0)


def test_white_space_does_not_matter_but_case_does() -> None:
    assert score(NORMAL_TEXT.replace(" ", " \n "), Findings.normal()) == PERFECT
    assert score(NORMAL_TEXT.replace("Heart", "heart"), Findings.normal()).facts_right == 5


def test_without_a_findings_header_its_sentences_belong_nowhere() -> None:
    result = score(NORMAL_TEXT.removeprefix("Findings: "), Findings.normal())
    assert (result.sentences, result.coherent, result.facts_right) == (7, 1, 0)


def test_without_an_impression_header_the_impression_is_incoherent() -> None:
    result = score(NORMAL_TEXT.replace("Impression: ", ""), Findings.normal())
    assert (result.sentences, result.coherent, result.facts_right) == (7, 6, 6)


def test_a_second_header_spoils_the_sentence_that_holds_it() -> None:
    result = score(NORMAL_TEXT.replace("Findings:", "Findings: Findings:"), Findings.normal())
    assert (result.coherent, result.facts_right) == (6, 5)


def test_a_findings_sentence_is_incoherent_in_the_impression() -> None:
    text = NORMAL_TEXT.replace("No acute abnormality.", "The lungs are clear.")
    assert score(text, Findings.normal()).coherent == 6


def test_a_fact_stated_both_ways_is_not_right() -> None:
    text = NORMAL_TEXT.replace(
        "The bones are intact.", "The bones are intact. Multiple left ribs are fractured."
    )
    result = score(text, Findings.normal())
    assert (result.sentences, result.coherent, result.facts_right) == (8, 8, 5)


def test_a_fact_stated_twice_the_same_way_is_right() -> None:
    text = NORMAL_TEXT.replace("The bones are intact.", "The bones are intact. No fracture is seen.")
    assert score(text, Findings.normal()).facts_right == 6


def test_a_positive_that_only_the_impression_claims_is_a_contradiction() -> None:
    text = NORMAL_TEXT.replace("No acute abnormality.", "A large left effusion and mild cardiomegaly.")
    result = score(text, Findings.normal())
    assert (result.coherent, result.contradictions) == (7, 2)


@pytest.mark.parametrize(
    "impression",
    [
        "There is bilateral effusions.",
        "There are mild cardiomegaly.",
        "mild cardiomegaly.",
        "Mild cardiomegaly",
        "Mild cardiomegaly and marked cardiomegaly.",
        "Mild Cardiomegaly and a left pneumothorax.",
        "A left left pneumothorax.",
        "An large left effusion.",
        "A left pneumothorax with.",
        ".",
        "and.",
    ],
)
def test_impressions_that_the_grammar_cannot_write_are_incoherent(impression: str) -> None:
    (sentence,) = parse_report(f"Findings: Impression: {impression}").impression
    assert not sentence.coherent
    assert sentence.statements == ()


@pytest.mark.parametrize(
    ("impression", "facts"),
    [
        ("There are bilateral effusions with mild cardiomegaly.", {"effusion", "heart"}),
        ("A right pneumothorax is the main abnormality.", {"pneumothorax"}),
        ("Left rib fractures are the main abnormality.", {"bones"}),
        ("The study shows consolidation at both bases.", {"opacity"}),
        (
            "Mild cardiomegaly, right rib fractures and a small left effusion are seen.",
            {"heart", "bones", "effusion"},
        ),
    ],
)
def test_impressions_are_read_whatever_their_frame(impression: str, facts: set[str]) -> None:
    (sentence,) = parse_report(f"Findings: Impression: {impression}").impression
    assert sentence.coherent
    assert {fact for fact, _ in sentence.statements} == facts
