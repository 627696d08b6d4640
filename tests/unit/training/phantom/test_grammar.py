"""The grammar: the order of the report, its length and variety, and agreement inside a sentence."""

import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.phantom.findings import FACTS, Findings, sample_findings
from training.phantom.grammar import (
    MAX_KEY_POSITIVES,
    PhantomReport,
    key_positives,
    write_impression,
    write_report,
)
from training.phantom.phrasebook import (
    FINDINGS_SENTENCES,
    IMPRESSION_FRAMES,
    IMPRESSION_PHRASES,
    NORMAL_IMPRESSIONS,
    NounPhrase,
)

SEEDS = st.integers(min_value=0, max_value=2**32 - 1)
VALUES = [(fact, value) for fact, values in FACTS.items() for value in values]
ALL_SENTENCES = [
    sentence
    for values in FINDINGS_SENTENCES.values()
    for sentences in values.values()
    for sentence in sentences
]
ALL_PHRASES = [
    phrase for values in IMPRESSION_PHRASES.values() for phrases in values.values() for phrase in phrases
]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


@pytest.fixture(scope="module")
def reports() -> list[PhantomReport]:
    rng = np.random.default_rng(5)
    return [write_report(sample_findings(rng), rng) for _ in range(1500)]


def test_the_text_joins_both_sections_under_their_headers() -> None:
    report = PhantomReport("The lungs are clear.", "No acute abnormality.")
    assert report.text == "Findings: The lungs are clear. Impression: No acute abnormality."


@settings(deadline=None)
@given(SEEDS)
def test_each_fact_has_one_sentence_in_reading_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    findings = sample_findings(rng)
    sentences = re.split(r"(?<=\.) ", write_report(findings, rng).findings_text)
    assert len(sentences) == len(FACTS)
    for sentence, (fact, value) in zip(sentences, findings.as_dict().items(), strict=True):
        assert sentence in FINDINGS_SENTENCES[fact][value]


@settings(deadline=None)
@given(SEEDS)
def test_the_same_generator_state_writes_the_same_report(seed: int) -> None:
    findings = sample_findings(np.random.default_rng(seed))
    first, second = (write_report(findings, np.random.default_rng(seed)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("fact", "value"), VALUES)
def test_every_value_has_several_different_phrasings(fact: str, value: str) -> None:
    phrasings = FINDINGS_SENTENCES[fact][value]
    assert len(phrasings) >= 3
    for one, other in combinations(phrasings, 2):
        shared = set(words(one)) & set(words(other))
        assert len(shared) < max(len(words(one)), len(words(other))), (one, other)
    assert len({sentence.split()[0:3].__str__() for sentence in phrasings}) >= 3


@pytest.mark.parametrize(("fact", "value"), VALUES)
def test_every_phrasing_of_a_value_is_used(fact: str, value: str) -> None:
    rng = np.random.default_rng(1)
    findings = replace(Findings.normal(), **{fact: value})
    written = " ".join(write_report(findings, rng).findings_text for _ in range(200))
    assert all(sentence in written for sentence in FINDINGS_SENTENCES[fact][value])


def test_phrasings_of_two_facts_are_chosen_independently() -> None:
    rng = np.random.default_rng(2)
    pairs = {
        tuple(re.split(r"(?<=\.) ", write_report(Findings.normal(), rng).findings_text)[:2])
        for _ in range(1500)
    }
    assert len(pairs) == len(FINDINGS_SENTENCES["device"]["none"]) * len(
        FINDINGS_SENTENCES["opacity"]["none"]
    )


def test_reports_are_short_on_average(reports: list[PhantomReport]) -> None:
    assert 55 < np.mean([len(report.text.split()) for report in reports]) < 75


def test_the_vocabulary_has_at_least_150_words(reports: list[PhantomReport]) -> None:
    assert len({word for report in reports for word in words(report.text)}) >= 150


@pytest.mark.parametrize("sentence", [*ALL_SENTENCES, *NORMAL_IMPRESSIONS])
def test_a_sentence_starts_with_a_capital_and_ends_at_its_only_full_stop(sentence: str) -> None:
    assert sentence[0].isupper()
    assert sentence.index(".") == len(sentence) - 1
    assert sentence == " ".join(sentence.split())


@pytest.mark.parametrize("text", [*ALL_SENTENCES, *(phrase.text for phrase in ALL_PHRASES)])
def test_articles_agree_with_the_next_sound(text: str) -> None:
    for article, following in re.findall(r"\b(an?) (\w)", text.lower()):
        assert (article == "an") == (following in "aeiou"), text


@pytest.mark.parametrize("sentence", ALL_SENTENCES)
def test_there_is_and_there_are_agree_with_their_noun(sentence: str) -> None:
    if sentence.startswith("There are"):
        assert re.search(r"(effusions|devices|opacities|fractures)\b", sentence)
    if sentence.startswith("There is"):
        assert not re.match(r"There is \w+ ?\w* (effusions|devices|opacities|fractures)\b", sentence)


@pytest.mark.parametrize("phrase", ALL_PHRASES)
def test_noun_phrases_hold_no_word_that_joins_them(phrase: NounPhrase) -> None:
    assert not any(joint in phrase.text for joint in (",", " and ", " with ", "."))
    assert phrase.text[0].islower()


def test_a_normal_study_gets_a_normal_impression() -> None:
    rng = np.random.default_rng(0)
    written = {write_report(Findings.normal(), rng).impression_text for _ in range(60)}
    assert written == set(NORMAL_IMPRESSIONS)


def test_a_device_alone_is_no_key_positive() -> None:
    assert key_positives(replace(Findings.normal(), device="pacemaker")) == ()


def test_the_three_most_important_positives_are_named() -> None:
    findings = Findings(
        "central_line", "left_lower", "bilateral", "right", "mildly_enlarged", "left_rib_fractures"
    )
    assert key_positives(findings) == (
        ("pneumothorax", "right"),
        ("effusion", "bilateral"),
        ("opacity", "left_lower"),
    )
    fewer = replace(findings, pneumothorax="none", opacity="none")
    assert [fact for fact, _ in key_positives(fewer)] == ["effusion", "bones", "heart"]


@settings(deadline=None)
@given(SEEDS)
def test_the_impression_names_each_key_positive_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    findings = sample_findings(rng)
    impression = write_report(findings, rng).impression_text.lower()
    positives = key_positives(findings)
    assert len(positives) <= MAX_KEY_POSITIVES
    for fact, value in positives:
        named = [phrase.text for phrase in IMPRESSION_PHRASES[fact][value] if phrase.text in impression]
        assert len(named) == 1, (fact, value, impression)


def test_the_impression_names_the_worst_first() -> None:
    rng = np.random.default_rng(3)
    findings = replace(Findings.normal(), heart="markedly_enlarged", pneumothorax="left")
    for _ in range(40):
        text = write_report(findings, rng).impression_text.lower()
        assert text.index("left") < text.index("markedly enlarged" if "heart" in text else "cardiomegaly")


@pytest.mark.parametrize(("fact", "value"), VALUES)
def test_no_phrasing_has_half_of_the_cases(fact: str, value: str) -> None:
    rng = np.random.default_rng(4)
    findings = replace(Findings.normal(), **{fact: value})
    written = [write_report(findings, rng).findings_text for _ in range(300)]
    shares = [
        sum(phrasing in text for text in written) / len(written)
        for phrasing in FINDINGS_SENTENCES[fact][value]
    ]
    assert max(shares) < 0.5
    assert shares[0] == pytest.approx(0.2975, abs=0.09)


def test_every_abnormal_value_but_a_device_can_be_named() -> None:
    for fact, values in FACTS.items():
        expected = set() if fact == "device" else set(values[1:])
        assert set(IMPRESSION_PHRASES.get(fact, {})) == expected


@pytest.mark.parametrize(
    ("phrase", "sentence"),
    [
        (NounPhrase("bilateral effusions", plural=True), "There are bilateral effusions."),
        (NounPhrase("mild cardiomegaly"), "There is mild cardiomegaly."),
    ],
)
def test_the_verb_agrees_with_the_first_positive(phrase: NounPhrase, sentence: str) -> None:
    assert write_impression("There {be} {0}.", [phrase]) == sentence


def test_frames_have_as_many_places_as_they_say() -> None:
    for count, frames in IMPRESSION_FRAMES.items():
        assert len(frames) >= 3
        assert all(
            set(re.findall(r"\{(\d)\}", frame)) == {str(place) for place in range(count)} for frame in frames
        )
