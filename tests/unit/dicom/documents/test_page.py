"""Pages: where lines break, which font is taken, what they say of whom, and what a reader sees."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import dcmread
from support import drafts

from echo_node.dicom.documents import fonts
from echo_node.dicom.documents.encapsulated_pdf import EncapsulatedPdfEncoder
from echo_node.dicom.documents.page import Paragraph, Style, lines, paragraphs
from echo_node.dicom.documents.secondary_capture import SecondaryCaptureEncoder
from echo_node.domain.drafts.draft import DRAFT_NOTICE, Draft
from echo_node.domain.drafts.report import Sentence
from echo_node.errors import ConfigError

needs_cjk = pytest.mark.skipif(
    fonts._find(fonts._CJK[0]) is None, reason="Noto Sans CJK is not installed: make tools"
)
pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(
        fonts._find(fonts._DEJAVU[0]) is None, reason="DejaVu Sans is not installed: make tools"
    ),
]


def page(draft: Draft) -> list[Paragraph]:
    return paragraphs(draft, None)


@pytest.fixture
def draft(tmp_path: Path) -> Callable[..., Draft]:
    def make(language: str = "en", header: str = "whole") -> Draft:
        return drafts.draft_of(
            drafts.image(tmp_path / "image.dcm", language, header), drafts.report(language), at=drafts.AT
        )

    return make


def wide(text: str) -> float:
    return float(sum(2 if ord(each) > 0x2E80 else 1 for each in text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No pleural effusion.", ["No pleural", "effusion."]),
        ("one\ntwo", ["one", "two"]),
        ("", [""]),
        ("cardiothoracicratio", ["cardiothorac", "icratio"]),
        ("両肺に多発結節影。", ["両肺に多発結", "節影。"]),
        ("両肺に多発影。", ["両肺に多発", "影。"]),
        ("肺野「清明」です", ["肺野「清明」", "です"]),
        ("心影增大 (high confidence)", ["心影增大", "(high", "confidence)"]),
    ],
)
def test_lines_break_where_readers_expect_it(text: str, expected: list[str]) -> None:
    assert list(lines(text, 12, wide)) == expected


@given(st.text(), st.integers(4, 40))
def test_no_line_is_too_wide_and_nothing_is_lost(text: str, width: int) -> None:
    broken = list(lines(text, width, wide))
    assert all(wide(line) <= width for line in broken)
    assert "".join("".join(broken).split()) == "".join(text.split())


def test_a_page_says_whose_it_is_and_what_is_not_known(draft: Callable[..., Draft]) -> None:
    known = [each.text.replace("\u00a0", " ") for each in page(draft()) if each.style is Style.IDENTITY]
    assert known[0] == "Patient: Buc, Dr. Jérôme PhD"
    assert "ID: 9RG1   Born: 1940-03-05   Sex: F   Study: 2004-08-26   Accession: A77" in known[1]
    bare = [each.text for each in page(draft(header="bare")) if each.style is Style.IDENTITY]
    assert bare[0] == "Patient: name not stated"
    assert "Accession:\u00a0not\u00a0stated" in bare[1]


def test_the_notice_comes_before_the_words_and_the_unsure_look_so(draft: Callable[..., Draft]) -> None:
    styles = [each.style for each in page(draft())]
    assert styles.index(Style.NOTICE) < styles.index(Style.BODY)
    assert [each.text for each in page(draft()) if each.style is Style.UNSURE] == [
        "[LOW CONFIDENCE] Possible nodule in the right upper lobe, 8 mm."
    ]
    assert DRAFT_NOTICE in next(each.text for each in page(draft()) if each.style is Style.NOTICE)


def test_a_sentence_that_compares_looks_unsure_and_a_prior_does_not(draft: Callable[..., Draft]) -> None:
    made = replace(draft(), comparison=drafts.COMPARISONS["whole"])
    made = replace(made, report=replace(made.report, findings=(Sentence("Unchanged.", 0.99),)))
    styles = {each.text: each.style for each in page(made)}
    assert styles["[NO COMPARISON WAS MADE] Unchanged."] is Style.UNSURE
    assert styles["Prior Procedure Descriptions"] is Style.HEADING
    (prior,) = [text for text in styles if text.startswith("Comparison: a prior")]
    assert styles[prior] is Style.BODY


@needs_cjk
@pytest.mark.parametrize(
    ("language", "family", "rtl"),
    [("en", "DejaVuSans-0", False), ("ar", "DejaVuSans-0", True), ("ja", "NotoSansCJK-Regular-0", False),
     ("zh", "NotoSansCJK-Regular-2", False)],
)  # fmt: skip
def test_each_language_has_its_font_and_direction(
    language: str, family: str, rtl: bool, draft: Callable[..., Draft]
) -> None:
    written = [each for each in page(draft(language)) if each.style in {Style.BODY, Style.UNSURE}]
    assert {(each.family.name, each.is_right_to_left) for each in written} == {(family, rtl)}
    assert not any(fonts.MISSING in each.text for each in page(draft(language)))


def test_what_no_font_has_is_a_box_and_the_page_says_so(draft: Callable[..., Draft]) -> None:
    made = draft()
    made = replace(made, report=replace(made.report, findings=(Sentence("Fine \U0001f44d."),)))
    shown = [each.text for each in page(made)]
    assert f"Fine {fonts.MISSING}." in shown
    assert "Structured Reports hold the whole text" in shown[-1]


def test_a_machine_without_fonts_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_FOLDERS", ())
    fonts._family.cache_clear()
    try:
        for encoder in (EncapsulatedPdfEncoder, SecondaryCaptureEncoder):
            with pytest.raises(ConfigError, match="fonts-dejavu-core"):
                encoder()
    finally:
        fonts._family.cache_clear()


def picture(draft: Draft) -> NDArray[np.uint8]:
    document = dcmread(io.BytesIO(SecondaryCaptureEncoder().encode(draft).content))
    assert document.BurnedInAnnotation == "YES"
    return np.asarray(document.pixel_array)


def test_the_banner_is_burnt_in_at_head_and_foot(draft: Callable[..., Draft]) -> None:
    pixels = picture(draft())
    assert pixels.shape[1] == 1024
    for band in (pixels[:56], pixels[-56:]):
        assert (band[:, :200] == 255).all()  # a bright bar
        assert (band[:, 280:740] < 64).mean() > 0.1  # with dark letters in it
        assert (band == pixels[:56]).mean() > 0.99


def test_a_long_report_makes_a_long_page_and_no_line_leaves_it(draft: Callable[..., Draft]) -> None:
    made = draft()
    long = replace(made, report=replace(made.report, findings=made.report.findings * 30))
    pixels = picture(long)
    assert pixels.shape[0] > 2 * picture(made).shape[0]
    assert not pixels[60:-60, :40].any()
    assert not pixels[60:-60, -40:].any()


def test_arabic_begins_at_the_right(draft: Callable[..., Draft]) -> None:
    def ink(pixels: NDArray[np.uint8]) -> tuple[int, int]:
        columns = np.flatnonzero(pixels[380:520].any(axis=0))
        return int(columns.min()), int(columns.max())

    assert ink(picture(draft("ar")))[1] > 950
    assert ink(picture(draft("en")))[0] < 60


def test_every_page_of_a_pdf_carries_the_banner_and_no_patient_in_its_properties(
    draft: Callable[..., Draft],
) -> None:
    made = draft()
    long = replace(made, report=replace(made.report, findings=made.report.findings * 40))
    document = dcmread(io.BytesIO(EncapsulatedPdfEncoder().encode(long).content))
    pdf = document.EncapsulatedDocument[: document.EncapsulatedDocumentLength]
    assert document.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert pdf.count(b"/Type /Page\n") > 2
    assert b"Buc" not in pdf
