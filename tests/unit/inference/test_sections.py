"""Text into sections: English and Chinese, headings missing, repeated or alone, any text at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.inference.sections import split_sections


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
    ],
)
def test_sections_and_sentences(text: str, findings: list[str], impression: list[str]) -> None:
    assert _texts(text) == (findings, impression)


@given(st.text())
def test_every_span_is_its_own_place_in_the_text(text: str) -> None:
    sections = split_sections(text)
    for span in (*sections.findings, *sections.impression):
        assert text[span.start : span.end] == span.text
        assert span.text == span.text.strip()
        assert span.text
