"""The draft as a Secondary Capture image of a page, for a PACS that shows only images.

It is light on dark, like the images next to it, and must be viewed at full resolution. The page is
as long as the text. The banner is burned in at the top and the bottom.
Source: PS3.3 A.8.1, C.8.6.1, C.7.6.1, C.7.6.3.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pydicom.uid import SecondaryCaptureImageStorage

from echo_node.dicom.documents import draft_object
from echo_node.dicom.documents.fonts import Family, find_fonts
from echo_node.dicom.documents.page import Paragraph, Style, drawing, lines, paragraphs
from echo_node.domain.drafts.draft import BANNER, Draft
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.errors import ConfigError, PermanentError
from echo_node.settings import DocumentKind

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont


class _Look(NamedTuple):
    """Look of a style: font size and space above in pixels, brightness, weight."""

    size_px: int
    above_px: int
    shade: int
    bold: bool = False


_LOOKS = {
    Style.IDENTITY: _Look(20, 4, 235),
    Style.NOTICE: _Look(21, 8, 235),
    Style.HEADING: _Look(26, 26, 255, bold=True),
    Style.BODY: _Look(24, 8, 235),
    Style.UNSURE: _Look(24, 8, 255, bold=True),
    Style.SMALL: _Look(19, 6, 190),
}
_WIDTH_PX, _LEAST_HEIGHT_PX, _MARGIN_PX, _BANNER_PX = 1024, 768, 48, 56
_MOST_HEIGHT_PX = 16_384
"""Maximum height that viewers show, which is more than any report needs."""
_LEADING, _BANNER_SIZE_PX, _BACKGROUND, _BANNER_SHADE = 1.4, 32, 0, 255


class SecondaryCaptureEncoder:
    """Implements the ReportEncoder port.

    Args:
        zone: time zone if the image states none; the machine's by default.

    Raises:
        ConfigError: this machine lacks a requirement of pages.
    """

    def __init__(self, *, zone: tzinfo | None = None) -> None:
        from PIL import features

        self.kind = DocumentKind.SECONDARY_CAPTURE
        self._zone = zone
        find_fonts("en")
        if not (features.check("raqm") and features.check("fribidi")):
            raise ConfigError(
                f"'{self.kind}' needs a Pillow with Raqm, and FriBiDi (Debian: libfribidi0), to write Arabic"
            )

    def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
        """Return the document, which cannot name its predecessor.

        Raises:
            PermanentError: the text is too long for an image, or cannot be drawn.
        """
        document = draft_object.begin(
            draft,
            self.kind,
            sop_class_uid=SecondaryCaptureImageStorage,
            modality="OT",
            zone=self._zone,
        )
        document.ConversionType = "SYN"
        document.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        document.BurnedInAnnotation = "YES"
        document.DerivationDescription = BANNER
        document.SourceImageSequence = draft_object.source_references(draft)
        document.PatientOrientation = ""
        document.BodyPartExamined = "CHEST"
        text = paragraphs(draft, self._zone)
        with drawing("the image of the draft"):
            page = _picture(text)
        document.SamplesPerPixel = 1
        document.PhotometricInterpretation = "MONOCHROME2"
        document.Rows, document.Columns = page.height, page.width
        document.BitsAllocated = document.BitsStored = 8
        document.HighBit = 7
        document.PixelRepresentation = 0
        document.PixelData = page.tobytes()
        return draft_object.finish(document, self.kind)


def _picture(text: list[Paragraph]) -> Image:
    """Return the page, 8-bit grey, 0 is black."""
    from PIL import Image, ImageDraw

    placed = list(_placed(text))
    height = max(_LEAST_HEIGHT_PX, placed[-1][1] + 2 * _LOOKS[Style.BODY].size_px + _BANNER_PX)
    height += height % 2
    if height > _MOST_HEIGHT_PX:
        raise PermanentError(
            f"the text is too long for an image: {height} pixels of at most {_MOST_HEIGHT_PX}; give the "
            "destination another form"
        )
    page = Image.new("L", (_WIDTH_PX, height), _BACKGROUND)
    draw = ImageDraw.Draw(page)
    for y in (0, height - _BANNER_PX):
        draw.rectangle((0, y, _WIDTH_PX, y + _BANNER_PX), fill=_BANNER_SHADE)
        family, shown = find_fonts("en").fitted(BANNER)
        font = _font(family, _BANNER_SIZE_PX, bold=True)
        draw.text((_WIDTH_PX / 2, y + _BANNER_PX / 2), shown, fill=_BACKGROUND, font=font, anchor="mm")
    for paragraph, y, line in placed:
        rtl = paragraph.is_right_to_left
        draw.text(
            (_WIDTH_PX - _MARGIN_PX if rtl else _MARGIN_PX, y),
            line,
            fill=_LOOKS[paragraph.style].shade,
            font=_font_of(paragraph),
            anchor="ra" if rtl else "la",
            direction="rtl" if rtl else "ltr",
        )
    return page


def _placed(text: list[Paragraph]) -> list[tuple[Paragraph, int, str]]:
    """Return each line with its paragraph and its distance from the top, in pixels."""
    placed, y = [], _BANNER_PX + _MARGIN_PX // 2
    for paragraph in text:
        y += _LOOKS[paragraph.style].above_px
        for line in lines(paragraph.text, _WIDTH_PX - 2 * _MARGIN_PX, _measure(paragraph)):
            placed.append((paragraph, y, line))
            y += round(_LOOKS[paragraph.style].size_px * _LEADING)
    return placed


def _measure(paragraph: Paragraph) -> Callable[[str], float]:
    font, direction = _font_of(paragraph), "rtl" if paragraph.is_right_to_left else "ltr"
    return lambda line: font.getlength(line, direction=direction)


def _font_of(paragraph: Paragraph) -> FreeTypeFont:
    look = _LOOKS[paragraph.style]
    return _font(paragraph.family, look.size_px, bold=look.bold)


@cache
def _font(family: Family, size_px: int, *, bold: bool) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(family.bold if bold else family.regular, size_px, index=family.face)
