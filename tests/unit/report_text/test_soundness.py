"""Soundness: broken, endless, empty, marked-up and unfinished text makes no draft."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.report_text.draft_sections import split_sections
from echo_node.report_text.soundness import why_unsound

ENGLISH = "Findings: The lungs are clear. The heart measures 1.5 cm more. Impression: Cardiomegaly."
CHINESE = "影像所见：双肺清晰；心影增大。诊断意见：心脏增大。"


def judged(text: str) -> str | None:
    return why_unsound(text, split_sections(text))


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        CHINESE,
        "Findings: No effusion. Impression: No effusion.",
        "Findings: A nodule of <5 mm, one of > 8 mm and a T12 fracture. Impression: Nodules.",
        "Findings: Clear, clear and very, very clear. Impression: Exposure to hepatitis A",
        "双侧未见异常，两侧肋膈角锐利锐利。",
        "Findings: 8 mm nodule. 6 mm nodule. 5 mm nodule. 1.5 cm mass. 2.5 cm mass. 3.5 cm mass.",
        "Findings: Levels L1, L2, L3, L4 and L5 are intact.",
    ],
)
def test_a_report_is_sound(text: str) -> None:
    assert judged(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("Findings: Impression:", "empty"),
        ("FINDINGS\n\nIMPRESSION\n", "empty"),
        ("影像所见：诊断意见：", "empty"),
        ("【所见】【印象】", "empty"),
        ("Findings: . Impression: 1. 2. 3.", "empty"),
        ("\x00\x07", "empty"),
        ("Findings: No \ufffd effusion.", "broken characters"),
        ("所见：\ufffd见胸腔积液。", "broken characters"),
        ("Findings: clear\udc80.", "broken characters"),
        ("Findings: Clear.<|im_end|>", "special token"),
        ("Findings: <|MASK|> effusion.", "special token"),
        ("Findings: Clear. <\uff5cend\u2581of\u2581sentence\uff5c>", "special token"),
        ("<b>Findings:</b> Clear.", "markup"),
        ('<p class="x">Clear.</p>', "markup"),
        ("Clear.<br/>", "markup"),
        ("Findings: No effusion. No effusion. No effusion.", "repeats itself"),
        ("Findings: 1. No effusion. 2. No effusion. 3. no effusion", "repeats itself"),
        ("Findings: the left the left the left the left lung.", "repeats itself"),
        ("所见：双肺双肺双肺双肺清晰。", "repeats itself"),
        ("所见：未见异常；未见异常。未见异常。", "repeats itself"),
        ("Findings: The heart is", "in the middle of a sentence"),
        ("Findings: Clear. Impression: No effusion,", "in the middle of a sentence"),
        ("Findings: There is a right-", "in the middle of a sentence"),
        ("所见：双肺清晰，心影", None),
        ("所见：双肺清晰，", "in the middle of a sentence"),
    ],
)
def test_what_is_not_makes_no_draft(text: str, reason: str | None) -> None:
    found = judged(text)
    assert (found is None) if reason is None else (found is not None and reason in found)


@given(st.sampled_from([ENGLISH, CHINESE]), st.data())
def test_one_broken_character_anywhere_is_enough(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    broken = data.draw(st.sampled_from(["\ufffd", "\ud800", "\udfff", "<|im_start|>"]))
    assert judged(text[:at] + broken + text[at:]) is not None


@given(
    st.text(string.ascii_letters, min_size=2, max_size=40),
    st.integers(4, 9),
    st.sampled_from(["", " ", "\n"]),
)
def test_a_phrase_said_four_times_over_is_a_loop(phrase: str, times: int, between: str) -> None:
    assert judged(f"Findings: Clear. {between.join([phrase] * times)}.") == "the model repeats itself"


@given(st.text(st.characters(codec=None)))
def test_whatever_was_written_is_judged_and_a_sound_text_has_words(text: str) -> None:
    if judged(text) is None:
        sections = split_sections(text)
        assert any(
            character.isalpha()
            for span in (*sections.findings, *sections.impression)
            for character in span.text
        )


def test_no_reason_repeats_the_text() -> None:
    assert "Doe" not in str(judged("Findings: Jane Doe \ufffd"))
