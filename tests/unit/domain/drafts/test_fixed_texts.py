"""The node's own words: complete in every language, else English; notices always in English too."""

import string
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.studies import SetClock, received, selection

from echo_node.domain.drafts.draft import BANNER, Draft, SectionName, compose
from echo_node.domain.drafts.fixed_texts import _BY_LANGUAGE, CHINESE, ENGLISH, Words, words_of
from echo_node.domain.drafts.report import Generation, ModelIdentity, Report, Sentence
from echo_node.domain.studies.study import Selection, UnreadImage

MODEL = ModelIdentity("echo", "1", "5a" * 32, demonstration=True)


def said(language: str, *, demonstration: bool = True) -> dict[SectionName, tuple[str, ...]]:
    sentences = tuple(Sentence(f"Sentence {each}.", each) for each in (0.1, 0.6, 0.95))
    model = replace(MODEL, demonstration=demonstration)
    report = Report(sentences, (), language, model, Generation("one_step", 1, 1, 0.1))
    image = replace(selection(received()).primary, is_orientation_stated=False)
    chosen = Selection((image,), (UnreadImage(received(2).identity, "too dark"),))
    content = compose(Draft(report, chosen, "1.2.3", 1, SetClock().now()))
    return {section.name: section.paragraphs for section in content.sections}


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("words", _BY_LANGUAGE.values(), ids=_BY_LANGUAGE)
def test_every_language_has_every_word_with_the_same_things_put_in(words: Words) -> None:
    for field in fields(Words):
        ours, english = getattr(words, field.name), getattr(ENGLISH, field.name)
        assert ours.strip(), field.name
        assert places(ours) == places(english), field.name


def test_no_language_has_english_words_by_oversight() -> None:
    same = {name for name, value in asdict(CHINESE).items() if value == getattr(ENGLISH, name)}
    assert same == set()


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ENGLISH), ("en-GB", ENGLISH), ("zh", CHINESE), ("zh-CN", CHINESE), ("ZH-Hans", CHINESE),
     ("ja", ENGLISH), ("ar", ENGLISH), ("", ENGLISH)],
)  # fmt: skip
def test_a_language_has_its_words_or_english_ones(language: str, words: Words) -> None:
    assert words_of(language) is words


def test_a_chinese_document_is_chinese_throughout() -> None:
    written = said("zh-CN")
    assert written[SectionName.FINDINGS] == (
        "【低置信度】 Sentence 0.1.", "Sentence 0.6.（中等置信度）", "Sentence 0.95.（高置信度）",
    )  # fmt: skip
    assert written[SectionName.IMPRESSIONS] == ("模型未写出结论。",)
    assert written[SectionName.PROCEDURE][0].startswith("已阅影像：1 幅。体位：PA。未使用其他影像")
    assert CHINESE.unstated_orientation in written[SectionName.PROCEDURE]
    assert "too dark" in written[SectionName.PROCEDURE][-1]


@given(st.sampled_from(["en", "zh", "zh-TW", "ja", "ar", "de", "xx"]), st.booleans())
def test_the_notices_stand_in_english_whatever_the_language(language: str, demonstration: bool) -> None:
    summary = said(language, demonstration=demonstration)[SectionName.SUMMARY]
    assert ENGLISH.draft_notice in summary[-1]
    assert (ENGLISH.demonstration_notice in summary[-1]) is demonstration
    assert len(summary) == (2 if language.startswith("zh") else 1)
    if len(summary) == 2:
        assert CHINESE.draft_notice in summary[0]
        assert (CHINESE.demonstration_notice in summary[0]) is demonstration


def test_what_must_be_read_is_said() -> None:
    assert BANNER == "AI DRAFT - UNVERIFIED"
    assert "UNVERIFIED" in ENGLISH.draft_notice
    assert "NOT FOR CLINICAL USE" in ENGLISH.demonstration_notice


def test_braces_of_a_sentence_are_letters() -> None:
    report = Report((Sentence("A {sentence} of {0}.", 0.95),), (), "zh", MODEL, Generation("x", 1, 1, 0.1))
    draft = Draft(report, selection(received()), "1.2.3", 1, SetClock().now())
    assert compose(draft).sections[1].paragraphs == ("A {sentence} of {0}.（高置信度）",)
