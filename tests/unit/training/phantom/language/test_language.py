"""The language: written reports can be read back exactly, in both languages; nothing else can."""

import re
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_node.report_text.draft_sections import split_sections
from echo_node.report_text.words import words
from training.evaluation.vocabulary import vocabulary
from training.phantom.findings import FACTS, REGIONS, Findings, Patient, labels
from training.phantom.language.grammar import BOOKS, MAX_PHRASES, fill_frame, named_topics, write_report
from training.phantom.language.parser import (
    REST,
    finding_sentences,
    impression_sentences,
    is_true_finding,
    is_true_impression,
    parse_report,
    read_finding,
    read_impression,
    score,
)
from training.phantom.language.phrasebook import MERGED, TOPICS, Language, NounPhrase, Phrasebook, statements
from training.phantom.prevalence import sample_findings

LANGUAGES: list[Language] = ["en", "zh"]
STOPS = {"en": ".", "zh": "\u3002"}
seeds = st.integers(min_value=0, max_value=2**32 - 1)


def sets_of_sentences(book: Phrasebook) -> list[tuple[str, ...]]:
    wordings = [each for topic in book.topics.values() for each in topic.values()]
    return [*wordings, *book.normal.values(), *book.rest.values(), book.normal_impressions]


def phrases_of(book: Phrasebook) -> list[NounPhrase]:
    return [each for group in (*book.phrases.values(), *book.merged.values()) for each in group]


@given(seeds, st.sampled_from(LANGUAGES))
@settings(max_examples=300, deadline=None)
def test_a_report_is_read_back_exactly(seed: int, language: Language) -> None:
    rng = np.random.default_rng(seed)
    findings = sample_findings(rng)
    report = parse_report(write_report(findings, rng, language).text)
    assert report.language == language
    assert all(sentence.coherent for sentence in report.sentences)
    assert report.facts() == findings.as_dict()
    assert report.labels() == labels(findings)
    for sentence in report.findings:
        assert is_true_finding(sentence.text, findings, language)
    for sentence in report.impression:
        assert is_true_impression(sentence.text, findings, language)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_the_vocabulary_has_every_word_of_a_report(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert set(words(write_report(sample_findings(rng), rng).text)) <= vocabulary()


@given(seeds, st.sampled_from(LANGUAGES))
@settings(max_examples=60, deadline=None)
def test_the_node_splits_the_same_sentences(seed: int, language: Language) -> None:
    rng = np.random.default_rng(seed)
    text = write_report(sample_findings(rng), rng, language).text
    sections, read = split_sections(text), parse_report(text)
    assert [span.text for span in sections.findings] == [each.text for each in read.findings]
    assert [span.text for span in sections.impression] == [each.text for each in read.impression]


@given(seeds, st.sampled_from(LANGUAGES))
@settings(max_examples=150, deadline=None)
def test_a_true_report_gets_every_point(seed: int, language: Language) -> None:
    rng = np.random.default_rng(seed)
    findings = sample_findings(rng)
    counted = score(write_report(findings, rng, language).text, findings)
    assert counted.coherent == counted.sentences
    assert counted.facts_right == counted.facts == len(FACTS)
    assert counted.named == counted.named_rightly == counted.present == len(findings.abnormal)
    assert counted.contradictions == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_means_one_thing(language: Language) -> None:
    sentences = [each for group in sets_of_sentences(BOOKS[language])[:-1] for each in group]
    assert len(sentences) == len(set(sentences)) == len(finding_sentences(language))
    book = BOOKS[language]
    fixed = [*book.normal_impressions, *(each for group in book.alarms.values() for each in group)]
    told = [fill_frame(frame, phrase) for frame, phrase in product(book.frames, phrases_of(book))]
    assert len(fixed + told) == len(set(fixed + told)) == len(impression_sentences(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_names_one_thing_and_is_read_back_in_every_frame(language: Language) -> None:
    book = BOOKS[language]
    texts = [phrase.text for phrase in phrases_of(book)]
    assert len(texts) == len(set(texts))
    meanings = [
        (phrase, statements(topic, values))
        for (topic, values), group in book.phrases.items()
        for phrase in group
    ]
    for (phrase, stated), frame in product(meanings, book.frames):
        assert read_impression(fill_frame(frame, phrase), language) == stated


@pytest.mark.parametrize("language", LANGUAGES)
def test_merged_phrases_and_alarms_are_read_back(language: Language) -> None:
    book = BOOKS[language]
    for (one, its, other, others), group in book.merged.items():
        assert MERGED[one] == other
        for phrase in group:
            read = read_impression(fill_frame(book.frames[0], phrase), language)
            assert read == statements(one, its) + statements(other, others)
    for alarm, sentences in book.alarms.items():
        assert all(read_impression(sentence, language) == (alarm,) for sentence in sentences)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_fact_has_four_different_wordings_each_a_sentence(language: Language) -> None:
    for group in sets_of_sentences(BOOKS[language]):
        assert len(set(group)) == len(group) >= 4
        for sentence in group:
            assert sentence.index(STOPS[language]) == len(sentence) - 1
            assert sentence == sentence.strip()
            assert language == "zh" or sentence[0].isupper()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_plausible_value_of_a_topic_has_words(language: Language) -> None:
    for topic, facts in TOPICS.items():
        stated = {pair for values in BOOKS[language].topics[topic] for pair in statements(topic, values)}
        for fact in facts:
            assert {(fact, value) for value in FACTS[fact][1:]} <= stated


def test_articles_and_verbs_agree_in_english() -> None:
    texts = [each for group in sets_of_sentences(BOOKS["en"]) for each in group]
    for text in [*texts, *(phrase.text for phrase in phrases_of(BOOKS["en"]))]:
        for article, following in re.findall(r"\b(an?) (\w)", text.lower()):
            assert (article == "an") == (following in "aeiou"), text
    plural = r"effusions|devices|opacities|fractures|tubes|lines"
    for text in texts:
        if text.startswith("There are"):
            assert re.search(rf"\b({plural})\b", text), text
        if text.startswith("There is"):
            assert not re.match(rf"There is (\w+ )?({plural})\b", text), text


def test_the_verb_agrees_with_the_phrase() -> None:
    frame = BOOKS["en"].frames[1]
    plural = NounPhrase("right rib fractures", plural=True)
    assert fill_frame(frame, plural) == "There are right rib fractures."
    assert read_impression("There is right rib fractures.", "en") is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_region_is_stated_in_order(language: Language) -> None:
    rng = np.random.default_rng(2)
    order = {fact: place for place, facts in enumerate(REGIONS.values()) for fact in facts}
    order |= {region: place for place, region in enumerate(REGIONS)}
    for _ in range(40):
        report = parse_report(write_report(sample_findings(rng), rng, language).text)
        regions = [order[sentence.statements[0][0]] for sentence in report.findings]
        assert regions == sorted(regions)
        assert set(regions) == set(range(len(REGIONS)))


def test_sides_that_agree_are_told_together() -> None:
    rng = np.random.default_rng(3)
    both = Findings(
        effusion_right="small",
        effusion_left="small",
        rib_fracture_right="present",
        rib_fracture_left="present",
    )
    text = write_report(both, rng).findings_text.lower()
    assert "right" not in text
    assert "left" not in text
    unequal = Findings(effusion_right="small", effusion_left="large")
    words = write_report(unequal, rng).findings_text
    assert "small" in words
    assert "large" in words


def test_a_portable_view_judges_the_heart_with_reserve() -> None:
    rng = np.random.default_rng(4)
    portable = Findings.normal(Patient(view="AP"))
    for _ in range(20):
        heart = parse_report(write_report(portable, rng).text).findings[-2].text
        assert re.search(r"AP|portable|this projection", heart)


def test_the_impression_names_the_worst_first_and_leaves_out_the_least() -> None:
    findings = Findings(
        pneumothorax_right="small", nodule="left_upper_nodule", oedema="interstitial",
        atelectasis_left="linear", heart="normal",
    )  # fmt: skip
    assert named_topics(findings, BOOKS["en"]) == (("pneumothorax",), ("nodule",), ("oedema",))
    assert MAX_PHRASES == 3


def test_findings_that_belong_together_are_told_in_one_sentence() -> None:
    failure = Findings(oedema="alveolar", heart="mildly_enlarged")
    assert named_topics(failure, BOOKS["en"]) == (("oedema", "heart"),)
    same_side = Findings(pneumothorax_left="small", rib_fracture_left="present")
    assert named_topics(same_side, BOOKS["en"]) == (("pneumothorax", "rib_fracture"),)
    other_side = Findings(pneumothorax_left="small", rib_fracture_right="present")
    assert named_topics(other_side, BOOKS["en"]) == (("pneumothorax",), ("rib_fracture",))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_named_finding_has_a_sentence_of_its_own(language: Language) -> None:
    findings = Findings(nodule="left_upper_nodule", oedema="alveolar", effusion_right="small")
    report = parse_report(write_report(findings, np.random.default_rng(5), language).text)
    assert [sentence.statements for sentence in report.impression] == [
        (("nodule", "left_upper_nodule"),),
        (("oedema", "alveolar"),),
        (("effusion_right", "small"), ("effusion_left", "none")),
    ]


def test_a_malplaced_tube_is_told_first() -> None:
    findings = Findings(endotracheal_tube="right_bronchus", oedema="alveolar", patient=Patient(view="AP"))
    for language in LANGUAGES:
        report = parse_report(write_report(findings, np.random.default_rng(1), language).text)
        assert report.impression[0].statements == (("endotracheal_tube", "right_bronchus"),)


@given(seeds, st.sampled_from(LANGUAGES), st.integers(0, 500))
@settings(max_examples=150, deadline=None)
def test_a_report_with_a_character_lost_reads_differently(seed: int, language: Language, place: int) -> None:
    rng = np.random.default_rng(seed)
    findings = sample_findings(rng)
    text = write_report(findings, rng, language).text
    place %= len(text)
    damaged = text[:place] + text[place + 1 :]
    if text[place] == " " and text[place - 1] in ".:":
        return
    before, after = parse_report(text), parse_report(damaged)
    assert [each.text for each in after.sentences] != [each.text for each in before.sentences] or (
        after.language,
        len(after.outside),
    ) != (before.language, len(before.outside))


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_read(text: str) -> None:
    counted = score(text, Findings.normal())
    assert 0 <= counted.coherent <= counted.sentences


@pytest.mark.parametrize(
    "sentence",
    ["The lungs are are clear.", "the lungs are clear.", "The lungs are clear", "Left left at.", ""],
)
def test_what_the_grammar_cannot_produce_states_nothing(sentence: str) -> None:
    assert read_finding(sentence, "en") is None
    assert read_impression(sentence, "en") is None


def test_two_values_for_one_fact_leave_it_open() -> None:
    text = "Findings: The heart is normal in size. The heart is mildly enlarged. Impression: Normal."
    assert "heart" not in parse_report(text).facts()


def test_the_rest_of_a_region_is_normal_only_beside_what_is_named() -> None:
    text = "Findings: There is hyperinflation of both lungs. The lungs are otherwise clear. Impression:"
    facts = parse_report(text).facts()
    assert facts["hyperinflation"] == "present"
    assert facts["oedema"] == "none"
    assert "heart" not in facts
    assert read_finding("The lungs are otherwise clear.", "en") == (("lungs", REST),)
    assert not is_true_finding("The lungs are otherwise clear.", Findings.normal(), "en")
    assert is_true_finding("The lungs are otherwise clear.", Findings(oedema="alveolar"), "en")


def test_an_impression_may_contradict_its_findings() -> None:
    text = "Findings: The heart is normal in size. Impression: Mild cardiomegaly."
    assert score(text, Findings.normal()).contradictions == 1
    assert not is_true_impression("Mild cardiomegaly.", Findings.normal(), "en")
    assert not is_true_impression("No acute abnormality.", Findings(heart="mildly_enlarged"), "en")
    assert is_true_impression("No acute abnormality.", Findings(pacemaker="left_dual"), "en")


def test_phrasings_of_two_facts_are_chosen_independently() -> None:
    rng = np.random.default_rng(2)
    written = [parse_report(write_report(Findings.normal(), rng).text).findings[:2] for _ in range(600)]
    pairs = {tuple(sentence.text for sentence in pair) for pair in written}
    assert len(pairs) == 16
    firsts = [pair[0].text for pair in written]
    shares = sorted(firsts.count(text) / len(firsts) for text in set(firsts))
    assert shares[0] > 0.12
    assert shares[-1] < 0.45


def test_different_findings_are_written_differently() -> None:
    rng = np.random.default_rng(9)
    texts = [write_report(Findings(heart=value), rng).findings_text for value in FACTS["heart"]]
    assert all(one != other for one, other in combinations(texts, 2))
