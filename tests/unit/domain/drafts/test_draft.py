"""One content for every form: confidence in words, missing parts stated, nothing lost."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.studies import SetClock, received, selection

from echo_node.domain.drafts.comparison import Comparison
from echo_node.domain.drafts.draft import (
    DEMONSTRATION_NOTICE,
    DRAFT_NOTICE,
    Draft,
    SectionName,
    compose,
    printable,
)
from echo_node.domain.drafts.fixed_texts import ENGLISH
from echo_node.domain.drafts.report import Band, Generation, ModelIdentity, Report, Sentence
from echo_node.domain.drafts.subject import Order, Subject
from echo_node.domain.studies.attributes import NOT_READ
from echo_node.domain.studies.study import Selection, UnreadImage

MODEL = ModelIdentity("echo-demo", "3", "5a" * 32, demonstration=True)


def draft(*findings: Sentence, impression: tuple[Sentence, ...] = (), language: str = "en") -> Draft:
    words = Report(findings, impression, language, MODEL, Generation("one_step", 1, 1, 0.1))
    return Draft(words, selection(received()), "1.2.3", 1, SetClock().now())


def said(made: Draft, section: SectionName) -> tuple[str, ...]:
    return next(each.paragraphs for each in compose(made).sections if each.name is section)


@pytest.mark.parametrize(
    ("confidence", "band", "words"),
    [
        (None, None, "Clear."),
        (0.0, Band.LOW, "[LOW CONFIDENCE] Clear."),
        (0.499, Band.LOW, "[LOW CONFIDENCE] Clear."),
        (0.5, Band.MODERATE, "Clear. (moderate confidence)"),
        (0.899, Band.MODERATE, "Clear. (moderate confidence)"),
        (0.9, Band.HIGH, "Clear. (high confidence)"),
        (1.0, Band.HIGH, "Clear. (high confidence)"),
    ],
)
def test_each_sentence_says_how_sure_the_model_is(
    confidence: float | None, band: Band | None, words: str
) -> None:
    sentence = Sentence("Clear.", confidence)
    assert sentence.band is band
    assert said(draft(sentence), SectionName.FINDINGS) == (words,)
    assert said(draft(sentence, impression=(sentence,)), SectionName.IMPRESSIONS) == (words,)


def test_the_notice_comes_first_and_names_a_demonstration() -> None:
    made = draft(Sentence("Clear."))
    first = compose(made).sections[0]
    assert (first.name, first.paragraphs) == (
        SectionName.SUMMARY,
        (f"{DEMONSTRATION_NOTICE} {DRAFT_NOTICE}",),
    )
    real = replace(made, report=replace(made.report, model=replace(MODEL, demonstration=False)))
    assert said(real, SectionName.SUMMARY) == (DRAFT_NOTICE,)


def test_what_is_missing_is_said_to_be() -> None:
    assert said(draft(Sentence("Clear.")), SectionName.IMPRESSIONS) == ("The model wrote no impression.",)
    empty = draft(Sentence(" \n"), Sentence("\x00", 0.2), impression=(Sentence("Normal."),))
    assert said(empty, SectionName.FINDINGS) == ("The model wrote no findings.",)


def test_what_was_not_read_and_a_mirrored_image_are_told() -> None:
    made = draft(Sentence("Clear."))
    unread = (UnreadImage(received(2).identity, "too dark"), UnreadImage(received(3).identity, "too dark"))
    made = replace(made, selection=replace(made.selection, unread=unread))
    unoriented = replace(made.selection.primary, is_orientation_stated=False)
    told = said(replace(made, selection=Selection((unoriented,), unread)), SectionName.PROCEDURE)
    assert told[0].startswith("Images read: 1. View: PA.")
    assert told[2] == ENGLISH.unstated_orientation
    assert told[3] == "Not read, 2 images: too dark. SOP Instance UID: 1.2.3.99.2, 1.2.3.99.3"
    assert ENGLISH.unstated_orientation not in said(made, SectionName.PROCEDURE)


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (None, f"{ENGLISH.uncompared_mark} Unchanged."),
        (0.2, f"{ENGLISH.unsure_mark} {ENGLISH.uncompared_mark} Unchanged."),
        (0.7, f"{ENGLISH.uncompared_mark} Unchanged."),
        (0.99, f"{ENGLISH.uncompared_mark} Unchanged."),
    ],
)
def test_a_sentence_that_compares_is_kept_and_marked_and_never_called_sure(
    confidence: float | None, words: str
) -> None:
    sentence = Sentence("Unchanged.", confidence)
    made = draft(sentence, Sentence("Clear.", 0.99), impression=(sentence,))
    assert said(made, SectionName.FINDINGS) == (words, "Clear. (high confidence)")
    assert said(made, SectionName.IMPRESSIONS) == (words,)
    assert said(made, SectionName.PROCEDURE)[2] == (
        "2 sentences speak of a comparison, marked [NO COMPARISON WAS MADE]: the model saw no earlier image."
    )
    assert not any("comparison" in each for each in said(draft(Sentence("Clear.")), SectionName.PROCEDURE))


@pytest.mark.parametrize("confidence", [None, 0.7, 0.99])
def test_a_sentence_that_may_be_garbled_is_kept_and_marked_and_never_called_sure(
    confidence: float | None,
) -> None:
    garbled = Sentence("The heart is There right.", confidence, "a capital that begins no name")
    made = draft(garbled, Sentence("Clear.", 0.99))
    assert said(made, SectionName.FINDINGS) == (
        "[CHECK WORDING] The heart is There right.", "Clear. (high confidence)",
    )  # fmt: skip
    assert "1 sentence may be garbled, marked [CHECK WORDING]: check what it says against the image." in said(
        made, SectionName.PROCEDURE
    )
    assert not any("garbled" in each for each in said(draft(Sentence("Clear.")), SectionName.PROCEDURE))


def test_a_prior_has_a_section_of_its_own_before_the_findings_and_none_if_none_was_looked_for() -> None:
    made = draft(Sentence("Clear."))
    names = [section.name for section in compose(made).sections]
    assert SectionName.PRIOR not in names
    looked = replace(made, comparison=Comparison("ARCHIVE", 10, left_out=("the patient's name differs",)))
    content = compose(looked)
    assert [section.name for section in content.sections] == list(SectionName)
    assert content.sections[1].paragraphs == looked.comparison.paragraphs()  # type: ignore[union-attr]
    assert not content.sections[1].is_written
    assert [each for each in content.sections if each.name is not SectionName.PRIOR] == list(
        compose(made).sections
    )


@pytest.mark.parametrize(
    ("language", "expected"), [("ar", True), ("ar-SA", True), ("he", True), ("ja", False)]
)
def test_languages_know_their_direction(language: str, expected: bool) -> None:
    assert compose(draft(Sentence("."), language=language)).is_right_to_left is expected


def test_no_letters_are_shown_in_another_order() -> None:
    assert printable("ratio \u202e0.58\u202c") == "ratio 0.58\u202c"
    assert printable("\u202dx") == "x"


@pytest.mark.parametrize(
    "kept", ["両肺\u3000清明", "a\u00a0b", "می\u200cشود", "tab\tand\nline", "👩🏽‍⚕️", "\u202bعربي\u202c"]
)
def test_what_scripts_need_is_kept(kept: str) -> None:
    assert printable(kept) == kept


@given(st.text(st.characters(codec=None)))
def test_nothing_goes_but_control_characters_and_white_space_around(text: str) -> None:
    kept = printable(text)
    kept.encode()
    assert not any(unicodedata.category(each) == "Cc" and each not in "\n\r\t" for each in kept)
    assert printable(kept) == kept
    lost = len(text) - len(kept)
    removed = [
        each
        for each in text
        if unicodedata.category(each) in {"Cc", "Cs"} or each.isspace() or each in "\u202d\u202e"
    ]
    assert lost <= len(removed)


def test_patient_data_is_not_in_a_representation(tmp_path: Path) -> None:
    nobody = Subject.of(NOT_READ)
    subject = replace(nobody, patient_name="Doe^Jane", patient_id="4711", orders=(Order("A77"),))
    assert not any(secret in repr(subject) for secret in ("Doe", "4711", "A77"))
