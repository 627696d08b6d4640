"""Draw the images of docs/reference/conformance.md, a draft in each of its forms: `make pictures`.

The script needs dsr2html (DCMTK), Chromium, pdftoppm (poppler-utils) and the fonts that pages need.
The study is a phantom, so no patient is in the images.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image, ImageChops
from pydicom import dcmread

from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.library_settings import configure_libraries
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.drafts.draft import Draft
from echo_node.domain.drafts.report import Generation, ModelIdentity, Report, Sentence
from echo_node.settings import DocumentKind
from training.phantom.dicom_study import write_study

_REPORT = Report(
    (
        Sentence("The heart is enlarged, with a cardiothoracic ratio of 0.58.", 0.95),
        Sentence("There is a small left pleural effusion.", 0.72),
        Sentence("Possible nodule in the right upper lobe, 8 mm.", 0.31),
    ),
    (Sentence("Cardiomegaly with a small left effusion.", 0.91), Sentence("Nodule to be confirmed.", 0.4)),
    "en",
    ModelIdentity("echo-demo", "3", "5a" * 32, demonstration=True),
    Generation("one_step", 48, 4, 0.4),
)
_REPORTS = (
    DocumentKind.BASIC_TEXT_SR,
    DocumentKind.ENHANCED_SR,
    DocumentKind.COMPREHENSIVE_SR,
    DocumentKind.COMPREHENSIVE_3D_SR,
)
_WIDTH, _MOST_HEIGHT = 820, 2000


def main(target: Path) -> None:
    """Draw all of them into the folder *target*."""
    configure_libraries()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = write_study(folder, seed=1, size=512)
        selection = ChestImageSelector().select([instance_from_file(path) for path in images])
        study = selection.primary.instance.identity.study_instance_uid
        draft = Draft(_REPORT, selection, study, 1, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
        for kind in _REPORTS:
            path = _written(draft, kind, folder)
            _screenshot(path, folder, target / f"form-{kind}.png")
        pdf = dcmread(_written(draft, DocumentKind.ENCAPSULATED_PDF, folder))
        (folder / "draft.pdf").write_bytes(pdf.EncapsulatedDocument[: pdf.EncapsulatedDocumentLength])
        _run("pdftoppm", "-r", "90", "-png", "-singlefile", str(folder / "draft.pdf"), str(folder / "pdf"))
        _save(Image.open(folder / "pdf.png").convert("RGB"), target / "form-encapsulated-pdf.png")
        capture = dcmread(_written(draft, DocumentKind.SECONDARY_CAPTURE, folder))
        picture = Image.fromarray(capture.pixel_array)
        picture.save(target / "form-secondary-capture.png", optimize=True)


def _written(draft: Draft, kind: DocumentKind, folder: Path) -> Path:
    path = folder / f"{kind}.dcm"
    path.write_bytes(dicom_encoder(kind, zone=UTC).encode(draft).content)
    return path


def _screenshot(report: Path, folder: Path, target: Path) -> None:
    """Render a report as dsr2html does and photograph the page."""
    page, raw = folder / "page.html", folder / "page.png"
    _run("dsr2html", "+U8", str(report), str(page))
    _run(
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--window-size={_WIDTH},{_MOST_HEIGHT}", f"--screenshot={raw}", page.as_uri(),
    )  # fmt: skip
    _save(Image.open(raw).convert("RGB"), target)


def _save(picture: Image.Image, target: Path) -> None:
    """Save the image without the empty paper below it."""
    paper = Image.new("RGB", picture.size, picture.getpixel((picture.width - 1, picture.height // 2)))
    box = ImageChops.difference(picture, paper).getbbox()
    bottom = min(picture.height, (box[3] if box else picture.height) + 16)
    kept = picture.crop((0, 0, picture.width, bottom))
    kept.quantize(64).save(target, optimize=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=300)  # noqa: S603 - our own command lines


if __name__ == "__main__":
    main(Path(sys.argv[1]))
