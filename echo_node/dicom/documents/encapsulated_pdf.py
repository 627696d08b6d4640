"""The draft as an Encapsulated PDF, for a PACS that shows PDF but not Structured Reports.

Its text can be searched and copied, and the used parts of the fonts are embedded.
Source: PS3.3 A.45.1, C.24.1, C.24.2.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from pydicom.uid import EncapsulatedPDFStorage

from echo_node import codes
from echo_node.dicom.documents import draft_object
from echo_node.dicom.documents.fonts import Family, find_fonts
from echo_node.dicom.documents.page import Paragraph, Style, drawing, lines, paragraphs
from echo_node.domain.drafts.draft import BANNER, MANUFACTURER, Draft
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.errors import ConfigError
from echo_node.settings import DocumentKind

if TYPE_CHECKING:
    from fpdf import FPDF

_MARGIN_MM, _BANNER_MM, _FOOT_MM = 20.0, 10.0, 18.0
_LEADING_MM_PER_PT = 1.4 * 25.4 / 72


class _Look(NamedTuple):
    """Look of a style: font size, space above, colour, weight."""

    size_pt: float
    above_mm: float
    colour: tuple[int, int, int] = (0, 0, 0)
    bold: bool = False


_RED, _WHITE = (150, 40, 0), (255, 255, 255)
_LOOKS = {
    Style.IDENTITY: _Look(10.5, 0.5),
    Style.NOTICE: _Look(10.0, 1.5),
    Style.HEADING: _Look(12.5, 5.0, bold=True),
    Style.BODY: _Look(11.0, 1.5),
    Style.UNSURE: _Look(11.0, 1.5, _RED, bold=True),
    Style.SMALL: _Look(9.0, 1.2),
}


class EncapsulatedPdfEncoder:
    """Implements the ReportEncoder port.

    Args:
        zone: time zone if the image states none; the machine's by default.

    Raises:
        ConfigError: this machine lacks a requirement of pages.
    """

    def __init__(self, *, zone: tzinfo | None = None) -> None:
        self.kind = DocumentKind.ENCAPSULATED_PDF
        self._zone = zone
        find_fonts("en")
        try:
            import fpdf  # noqa: F401
            import uharfbuzz  # noqa: F401
        except ImportError:
            raise ConfigError(
                f"'{self.kind}' needs additional Python packages: pip install 'echo-node[pages]'"
            ) from None

    def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
        """Return the document, which cannot name its predecessor.

        Raises:
            PermanentError: the text cannot be drawn.
        """
        from fpdf.errors import FPDFException

        document = draft_object.begin(
            draft, self.kind, sop_class_uid=EncapsulatedPDFStorage, modality="DOC", zone=self._zone
        )
        document.ConversionType = "WSD"
        document.AcquisitionDateTime = ""
        document.BurnedInAnnotation = "YES"
        document.VerificationFlag = "UNVERIFIED"
        document.DocumentTitle = BANNER
        title = codes.code("title", "diagnostic_imaging_report")
        document.ConceptNameCodeSequence = [draft_object.code_item(title)]
        document.SourceInstanceSequence = draft_object.source_references(draft)
        document.MIMETypeOfEncapsulatedDocument = "application/pdf"
        made_at = draft.at.astimezone(draft.attributes.zone or self._zone)
        text = paragraphs(draft, self._zone)
        with drawing("the PDF of the draft", FPDFException):
            pdf = _pdf(text, draft.report.language, made_at)
        document.EncapsulatedDocumentLength = len(pdf)
        document.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
        return draft_object.finish(document, self.kind)


def _pdf(text: list[Paragraph], language: str, made_at: datetime) -> bytes:
    """Return a PDF of A4 pages with the banner. Its properties contain no patient data."""
    pages = _pages()
    pages.set_title(BANNER)
    pages.set_creator(MANUFACTURER)
    pages.set_lang(language)
    pages.set_creation_date(made_at)
    pages.add_page()
    for paragraph in text:
        _write(pages, paragraph)
    return bytes(pages.output())


def _pages() -> FPDF:
    from fpdf import FPDF

    class Pages(FPDF):
        def header(self) -> None:
            self.set_fill_color(*_RED)
            self.rect(0, 0, self.w, _BANNER_MM + 4, style="F")
            self.set_xy(_MARGIN_MM, 2)
            self._line(BANNER, 15, _WHITE)
            self.set_xy(_MARGIN_MM, _BANNER_MM + 12)

        def footer(self) -> None:
            self.set_xy(_MARGIN_MM, self.h - _FOOT_MM + 4)
            self._line(f"{BANNER}    page {self.page_no()}", 9, _RED)

        def _line(self, text: str, size_pt: float, colour: tuple[int, int, int]) -> None:
            family, shown = find_fonts("en").fitted(text)
            _use(self, family, size_pt, bold=True)
            self.set_text_color(*colour)
            self.cell(self.epw, _BANNER_MM, shown)

    pages = Pages(format="A4")
    pages.set_margins(_MARGIN_MM, _MARGIN_MM)
    pages.set_auto_page_break(auto=True, margin=_FOOT_MM + 4)
    pages.set_text_shaping(use_shaping_engine=True)
    return pages


def _write(pages: FPDF, paragraph: Paragraph) -> None:
    look = _LOOKS[paragraph.style]
    direction = "rtl" if paragraph.is_right_to_left else "ltr"
    pages.set_y(pages.get_y() + look.above_mm)
    _use(pages, paragraph.family, look.size_pt, bold=look.bold)
    pages.set_text_shaping(use_shaping_engine=True, direction=direction)
    for line in lines(paragraph.text, pages.epw, pages.get_string_width):
        pages.set_text_color(*look.colour)
        pages.cell(
            pages.epw,
            look.size_pt * _LEADING_MM_PER_PT,
            line,
            align="R" if paragraph.is_right_to_left else "L",
            new_x="LMARGIN",
            new_y="NEXT",
        )


def _use(pages: Any, family: Family, size_pt: float, *, bold: bool) -> None:
    """Select a font, which is embedded on first use."""
    name = f"{family.name}-{'bold' if bold else 'regular'}"
    if name.lower() not in pages.fonts:
        file = family.bold if bold else family.regular
        pages.add_font(name, fname=file, collection_font_number=family.face)
    pages.set_font(name, size=size_pt)
