"""Sections of drafts: English and Chinese, missing, repeated or lone headings, any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.report_text.draft_sections import headings, split_sections
from echo_node.report_text.soundness import why_unsound


def _texts(text: str) -> tuple[list[str], list[str]]:
    sections = split_sections(text)
    return [s.text for s in sections.findings], [s.text for s in sections.impression]


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        ("Findings: One. Two. Impression: Three.", ["One.", "Two."], ["Three."]),
        ("Findings: One.", ["One."], []),
        ("Impression: Three.", [], ["Three."]),
        ("No heading at all. Second.", ["No heading at all.", "Second."], []),
        ("Findings:Impression:", [], []),
        ("findings: a.\nIMPRESSIONS: b.", ["a."], ["b."]),
        ("Findings: Size is 3.5 cm. Next.", ["Size is 3.5 cm.", "Next."], []),
        ("所见：双肺清晰。心影不大。结论：未见异常。", ["双肺清晰。", "心影不大。"], ["未见异常。"]),
        ("両肺に結節影。胸水なし。", ["両肺に結節影。", "胸水なし。"], []),
        ("القلب كبير 0.58. لا يوجد انصباب.", ["القلب كبير 0.58.", "لا يوجد انصباب."], []),
        ("هل القلب كبير؟ نعم.", ["هل القلب كبير؟", "نعم."], []),
        ("", [], []),
        ("   \n ", [], []),
        # Headings as models write them.
        ("**Findings:** Clear.\n\n**Impression:** Normal.", ["Clear."], ["Normal."]),
        ("## FINDINGS\nClear.\n## IMPRESSION\nNormal.", ["Clear."], ["Normal."]),
        ("Findings \nClear.\nImpression\nNormal.", ["Clear."], ["Normal."]),
        ("fINDINGS : a b.\nimpressions\uff1a c d.", ["a b."], ["c d."]),
        ("FINDINGS AND IMPRESSION: Clear.", ["Clear."], []),
        ("Findings: Clear. CONCLUSION: Normal.", ["Clear."], ["Normal."]),
        ("影像所见：双肺清晰。诊断意见：未见异常。", ["双肺清晰。"], ["未见异常。"]),
        ("检查所见:双肺清晰.心影不大.印象:未见异常", ["双肺清晰.", "心影不大."], ["未见异常"]),
        ("【影像学表现】双肺清晰。【影像诊断】肺炎。", ["双肺清晰。"], ["肺炎。"]),
        ("所見：両肺清明。診断：異常なし。", ["両肺清明。"], ["異常なし。"]),
        ("Findings: A a. Findings: B b. Impression: C. Findings: D.", ["A a.", "B b.", "D."], ["C."]),
        # A word of a sentence is no heading, and nothing before the first heading is lost.
        ("The lungs are clear. Impression: Normal.", ["The lungs are clear."], ["Normal."]),
        ("The lungs are clear Impression: Normal.", ["The lungs are clear"], ["Normal."]),
        ("如上所见：双肺清晰。", ["如上所见：双肺清晰。"], []),
        ("The clinical findings: none.", ["The clinical findings: none."], []),
        ("Comparison: None. Findings: Clear.", ["Comparison: None.", "Clear."], []),
        # Where sentences end.
        ("1. Cardiomegaly. 2. No effusion.", ["1. Cardiomegaly.", "2. No effusion."], []),
        ("1) Cardiomegaly\n2) No effusion", ["1) Cardiomegaly", "2) No effusion"], []),
        ("- No effusion\n- Heart normal", ["- No effusion", "- Heart normal"], []),
        ("1.心影增大。2.胸腔积液。", ["1.心影增大。", "2.胸腔积液。"], []),
        ("Fracture of L1. No effusion.", ["Fracture of L1.", "No effusion."], []),
        (
            "A nodule of 1.5 cm. Ratio 0.58. 2. Clear.",
            ["A nodule of 1.5 cm.", "Ratio 0.58.", "2. Clear."],
            [],
        ),
        ("A nodule of 1. 5 cm. Clear.", ["A nodule of 1. 5 cm.", "Clear."], []),
        (
            "Seen by Dr. Smith, approx. 3 cm vs. 2 cm. Clear.",
            ["Seen by Dr. Smith, approx. 3 cm vs. 2 cm.", "Clear."],
            [],
        ),
        ("Effusion: no. Rib no. 3 is broken.", ["Effusion: no.", "Rib no. 3 is broken."], []),
        ("Clear. (See above.) Normal.", ["Clear.", "(See above.)", "Normal."], []),
        (
            "双肺清晰；心影不大。“未见异常。”膈面光滑。",
            ["双肺清晰；", "心影不大。", "“未见异常。”", "膈面光滑。"],
            [],
        ),
        ("Clear. ... Normal.", ["Clear.", "... Normal."], []),
        ("Findings: . Impression: 1. 2.", [], []),
    ],
)
def test_sections_and_sentences(text: str, findings: list[str], impression: list[str]) -> None:
    assert _texts(text) == (findings, impression)


_PIECES = st.sampled_from(
    [
        "Findings:", "IMPRESSION\uff1a", "影像所见：", "印象：", "【诊断意见】", "**Findings:**",
        "\nImpression\n", "1. ", "2) ", "\n- ", "The heart is normal", "双肺清晰", "L1", "1.5 cm", "no", "Dr",
        ".", "。", "；", ". ", "\n", "\n\n", " ", "\x00", "\u202e", "é", "<b>",
    ]
)  # fmt: skip
_NASTY = st.one_of(st.text(), st.lists(_PIECES, max_size=30).map("".join))


@given(_NASTY)
def test_no_word_is_lost_but_headings(text: str) -> None:
    sections = split_sections(text)
    kept = [False] * len(text)
    for span in (*sections.findings, *sections.impression):
        assert not any(kept[span.start : span.end]), "a word is said twice"
        kept[span.start : span.end] = [True] * (span.end - span.start)
    for heading in headings(text):
        kept[heading.start : heading.end] = [True] * (heading.end - heading.start)
    assert not any(each.isalpha() and not there for each, there in zip(text, kept, strict=True))


@given(_NASTY)
def test_a_sentence_says_something(text: str) -> None:
    sections = split_sections(text)
    assert all(any(map(str.isalpha, span.text)) for span in (*sections.findings, *sections.impression))


@pytest.mark.parametrize(
    "piece",
    [" ", "\n", "。", "a. ", "1. ", "\n - ", "Findings:", "<", "（", "(see ", "Findings ", "** ", "# "],
)
def test_a_hundred_thousand_characters_of_nonsense_are_no_burden(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    why_unsound(text, split_sections(text))


@given(_NASTY)
def test_every_span_is_its_own_place_in_the_text(text: str) -> None:
    sections = split_sections(text)
    for span in (*sections.findings, *sections.impression):
        assert text[span.start : span.end] == span.text
        assert span.text == span.text.strip()
        assert span.text
