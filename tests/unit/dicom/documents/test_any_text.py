"""Any text and any patient through all seven forms: each is read back, and none fails."""

from __future__ import annotations

import io
import itertools
import re
import shutil
import subprocess
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from support import drafts
from support.mllp import unescaped

from echo_node.dicom.documents import encapsulated_pdf as pdf_module
from echo_node.dicom.documents.encapsulated_pdf import EncapsulatedPdfEncoder
from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.documents.fonts import MISSING, find_fonts
from echo_node.dicom.documents.page import Style, paragraphs
from echo_node.dicom.documents.secondary_capture import _MOST_HEIGHT_PX, SecondaryCaptureEncoder
from echo_node.dicom.documents.sr_reader import read_sections
from echo_node.dicom.header_values import text as text_of
from echo_node.domain.drafts.draft import BANNER, Draft, compose, printable
from echo_node.domain.drafts.report import EncodedDocument, Sentence
from echo_node.errors import MustBeHeld, PermanentError
from echo_node.hl7.oru import OruEncoder
from echo_node.settings import DocumentKind

REPORTS = [kind for kind in DocumentKind if kind.value.endswith("-sr")]
NASTY = [
    "", "\x00", "\x1b$B", "\ud800", "\udfff", "\ufffd", "\ufeff", "\u202e0.58", "\u2067\u2066", "\u200f",
    "one\u2028two", "one\u2029two", "\x85", "\x1c", "|^~\\&", "\\.br\\", "\\X0D\\", "\\F", "\rMSH|^~\\&|",
    "\x0b\x1c\r", "<script>alert(1)</script>", "&amp;", "]]>", "=^=^=", "{sentence}", "%s %d", "\t", "\r\n",
    "\n\n\n", "e\u0301\u0302\u0303" * 9, "\U0001f468\u200d\u2695\ufe0f", "\U000e0041", "未见\u3000异常。",
    "ﷺ", "क्षि", "가각", "\U00020000", "\uffff", "\U0010ffff", "ffi fl", "a" * 300, "。" * 50,
]  # fmt: skip
ANY_TEXT = st.one_of(
    st.text(st.characters(codec=None), max_size=60),
    st.lists(st.sampled_from([*NASTY, "The heart ", "双肺"]), max_size=8).map("".join),
)
SENTENCES = st.lists(
    st.builds(Sentence, ANY_TEXT, st.none() | st.floats(0, 1)), min_size=1, max_size=3
)  # fmt: skip
LANGUAGES = st.sampled_from(drafts.LANGUAGES)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return drafts.draft_of(drafts.image(tmp_path_factory.mktemp("any") / "image.dcm"))


def saying(draft: Draft, findings: list[Sentence], language: str = "en") -> Draft:
    return replace(draft, report=replace(draft.report, findings=tuple(findings), language=language))


def said(draft: Draft) -> list[str]:
    content = compose(draft)
    return [paragraph for section in content.sections for paragraph in section.paragraphs]


def opened(document: EncodedDocument) -> Dataset:
    return dcmread(io.BytesIO(document.content))


def oru(draft: Draft) -> str:
    return OruEncoder("ECHO_NODE").encode(draft).content.decode()


@pytest.mark.parametrize("kind", REPORTS)
@settings(max_examples=60, deadline=None)
@given(findings=SENTENCES, language=LANGUAGES)
@example(findings=[Sentence("".join(NASTY))], language="zh")
def test_a_structured_report_holds_every_word_and_is_written_again_as_it_was(
    kind: DocumentKind, base: Draft, findings: list[Sentence], language: str
) -> None:
    draft = saying(base, findings, language)
    document = dicom_encoder(kind).encode(draft)
    assert [text for section in read_sections(document.content) for text in section.texts] == said(draft)
    stream = io.BytesIO()
    opened(document).save_as(stream, enforce_file_format=True)
    assert stream.getvalue() == document.content


@settings(max_examples=120, deadline=None)
@given(findings=SENTENCES, language=LANGUAGES)
@example(findings=[Sentence("".join(NASTY))], language="ar")
def test_a_message_holds_every_word_and_no_other_segment(
    base: Draft, findings: list[Sentence], language: str
) -> None:
    draft = saying(base, findings, language)
    message = oru(draft)
    assert not set(message) & set("\n\x0b\x1c\x00")
    lines = message.rstrip("\r").split("\r")
    assert {line[:4] for line in lines} <= {"MSH|", "SFT|", "PID|", "OBR|", "OBX|"}
    values = [unescaped(line.split("|")[5]) for line in lines if line.startswith("OBX|") and "|FT|" in line]
    assert [value.replace("\r", "\n") for value in values] == [
        text.replace("\r\n", "\n").replace("\r", "\n") for text in (BANNER, *said(draft))
    ]


@pytest.mark.parametrize("encoder", [EncapsulatedPdfEncoder, SecondaryCaptureEncoder])
@settings(max_examples=12, deadline=None)
@given(findings=SENTENCES, language=LANGUAGES)
@example(findings=[Sentence(text) for text in NASTY], language="zh")
@example(findings=[Sentence(text) for text in NASTY], language="ar")
def test_a_page_can_be_made_of_any_text(
    encoder: Callable[[], EncapsulatedPdfEncoder | SecondaryCaptureEncoder],
    base: Draft,
    findings: list[Sentence],
    language: str,
) -> None:
    draft = saying(base, findings, language)
    document = opened(encoder().encode(draft))
    if encoder is SecondaryCaptureEncoder:
        assert document.Rows <= _MOST_HEIGHT_PX
        assert len(document.PixelData) == document.Rows * document.Columns
    else:
        assert document.EncapsulatedDocument.startswith(b"%PDF-")


@settings(max_examples=40, deadline=None)
@given(findings=SENTENCES, language=LANGUAGES)
def test_a_page_shows_every_word_or_boxes_and_says_so(
    base: Draft, findings: list[Sentence], language: str
) -> None:
    draft = saying(base, findings, language)
    shown = [each for each in paragraphs(draft, None) if each.style not in {Style.IDENTITY, Style.HEADING}]
    missing = any(MISSING in each.text for each in shown)
    for paragraph, text in itertools.zip_longest(shown[: len(said(draft))], said(draft)):
        assert len(paragraph.text) == len(text)
        assert all(a in (b, MISSING) for a, b in zip(paragraph.text, text, strict=True))
    assert len(shown) == len(said(draft)) + missing


_PLAIN = st.characters(
    codec="utf-8", categories=["Lu", "Ll", "Nd"], max_codepoint=0x024F
) | st.sampled_from("αβγΔжЩя.,;:!?()-+/ %")  # fmt: skip


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed: make tools")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(_PLAIN, min_size=1, max_size=120))
def test_what_the_font_has_can_be_searched_in_a_pdf(base: Draft, tmp_path: Path, text: str) -> None:
    _, fitted = find_fonts("en").fitted(printable(text))
    draft = saying(base, [Sentence(fitted.replace(MISSING, ""), 0.95)])
    document = opened(EncapsulatedPdfEncoder().encode(draft))
    path = tmp_path / "draft.pdf"
    path.write_bytes(document.EncapsulatedDocument[: document.EncapsulatedDocumentLength])
    done = subprocess.run(
        ["pdftotext", "-enc", "UTF-8", str(path), "-"], capture_output=True, text=True, timeout=60, check=True
    )
    found = "".join(done.stdout.split())
    assert ["".join(each.split()) for each in said(draft) if "".join(each.split()) not in found] == []


def test_a_text_of_100_kilobytes_is_pages_but_no_picture(base: Draft) -> None:
    long = saying(base, [Sentence("The heart is enlarged and so on. " * 3000)])
    assert opened(EncapsulatedPdfEncoder().encode(long)).EncapsulatedDocument.count(b"/Type /Page\n") < 60
    with pytest.raises(PermanentError, match=r"too long for an image: .* at most 16384"):
        SecondaryCaptureEncoder().encode(long)
    assert len(oru(long)) > 90_000
    report = dicom_encoder(DocumentKind.BASIC_TEXT_SR).encode(long)
    assert [text for section in read_sections(report.content) for text in section.texts] == said(long)


def test_what_a_library_raises_is_a_form_that_cannot_be_made(
    base: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fpdf.errors import FPDFUnicodeEncodingException

    for error in (FPDFUnicodeEncodingException(0, "x", "y"), ValueError("Jane Doe"), IndexError()):

        def broken(*_: object, error: Exception = error) -> bytes:
            raise error

        monkeypatch.setattr(pdf_module, "_pdf", broken)
        with pytest.raises(PermanentError, match="the PDF of the draft cannot be drawn") as caught:
            EncapsulatedPdfEncoder().encode(base)
        assert "Doe" not in str(caught.value)


_NAME = st.lists(
    st.sampled_from(
        [
            "^", "=", "^^^^^", "====", "\\", "Doe", "王", "é", "|", "~", "&", "x" * 70, " ", "<b>", "\u202e",
            "\t",
        ]
    ),
    max_size=6,
).map("".join)  # fmt: skip
_TEXTS = (
    "PatientName", "PatientID", "ReferringPhysicianName", "AccessionNumber", "IssuerOfPatientID", "StudyID",
)  # fmt: skip


def with_header(source: Path, target: Path, values: dict[str, str]) -> Path:
    """Write the image with these values, byte for byte, whatever their type allows."""
    data_set = dcmread(source)
    data_set.SpecificCharacterSet = "ISO_IR 192"
    for keyword in values:
        setattr(data_set, keyword, f"@{keyword}@")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set.save_as(target)
    content = target.read_bytes()
    for keyword, value in values.items():
        marked = f"@{keyword}@".encode()
        marked += b" " * (len(marked) % 2)
        raw = value.encode()
        raw += b" " * (len(raw) % 2)
        at = content.index(marked)
        content = content[: at - 2] + len(raw).to_bytes(2, "little") + raw + content[at + len(marked) :]
    target.write_bytes(content)
    return target


_IDENTIFYING = {"PatientName": 0, "PatientID": 64, "IssuerOfPatientID": 64, "AccessionNumber": 16}
"""Identifying attributes and the longest values; a name has a limit for each of its parts."""


def is_unwritable(value: str, limit: int) -> bool:
    """Return whether a document cannot state an identifying value as it is."""
    value = value.strip(" \0\t\r\n\v\f")
    has_control = any(unicodedata.category(each) == "Cc" for each in value)
    no_value = "\\" if limit else "\\^="
    if all(unicodedata.category(each) == "Cc" or each.isspace() or each in no_value for each in value):
        return False
    if limit:
        # "Èâàíîâ" is what the bytes of a Cyrillic word look like as Latin-1.
        words = re.findall(r"[A-Za-z\u0080-\U0010ffff]+", value)
        is_garbled = any(len(word) > 1 and all("\xc0" <= each <= "\xff" for each in word) for word in words)
        return has_control or "\\" in value or len(value) > limit or is_garbled
    groups = value.rstrip("=").split("=")  # empty groups at the end state nothing
    return (
        "\\" in value or len(groups) > 3 or any(len(group) > 64 or group.count("^") > 4 for group in groups)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.fixed_dictionaries(dict.fromkeys(_TEXTS, _NAME)))
@example(values=dict.fromkeys(_TEXTS, ""))
@example(values={**dict.fromkeys(_TEXTS, ""), "IssuerOfPatientID": "A\t\\"})
@example(values={**dict.fromkeys(_TEXTS, ""), "IssuerOfPatientID": "éé"})
@pytest.mark.filterwarnings("ignore")
def test_any_patient_can_be_named(base: Draft, tmp_path: Path, values: dict[str, str]) -> None:
    source = base.selection.primary.instance.path
    image = with_header(source, tmp_path / "image.dcm", values)
    if any(is_unwritable(values[keyword], limit) for keyword, limit in _IDENTIFYING.items()):
        with pytest.raises(MustBeHeld) as held:
            drafts.draft_of(image)
        assert set(held.value.attributes) <= set(_IDENTIFYING)
        return
    draft = drafts.draft_of(image)
    subject = draft.subject
    for kind in (DocumentKind.BASIC_TEXT_SR, DocumentKind.SECONDARY_CAPTURE):
        document = dicom_encoder(kind).encode(draft)
        again, stream = opened(document), io.BytesIO()
        again.save_as(stream, enforce_file_format=True)
        assert stream.getvalue() == document.content
        assert text_of(again, "PatientName") == subject.patient_name
        assert again.SeriesDescription == BANNER
    lines = oru(draft).rstrip("\r").split("\r")
    assert [line[:3] for line in lines].count("PID") == 1
    (patient,) = [line.split("|") for line in lines if line.startswith("PID|")]
    assert unescaped(patient[3].split("^")[0]) == subject.patient_id
    assert len(patient) <= 9
    names = patient[5].split("~")
    assert len(names) <= 3
    assert all(len(name.split("^")) <= 8 for name in names)
