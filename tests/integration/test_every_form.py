"""Every form in every language with every header, before validators, renderers and a PACS."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from integration import validators
from integration.orthanc import DICOMWEB, PROGRAM, Orthanc
from pydicom import dcmread
from pydicom.dataset import Dataset
from support import drafts

from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.scu.destinations import Destinations
from echo_node.domain.drafts.draft import BANNER, Draft, compose
from echo_node.domain.drafts.fixed_texts import words_of
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.study import GreyImage, HeaderRemark
from echo_node.settings import DocumentKind

pytestmark = [pytest.mark.external, pytest.mark.slow]

REPORTS = [kind for kind in DocumentKind if kind.value.endswith("-sr")]
PAGES = [DocumentKind.ENCAPSULATED_PDF, DocumentKind.SECONDARY_CAPTURE]
CASES = list(itertools.product([*REPORTS, *PAGES], drafts.LANGUAGES, drafts.HEADERS))


class Made(NamedTuple):
    """A draft in one form, and its file."""

    draft: Draft
    document: EncodedDocument
    path: Path

    @property
    def paragraphs(self) -> list[str]:
        content = compose(self.draft)
        return [text for section in content.sections for text in section.paragraphs]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Made]:
    """All of them."""
    folder = tmp_path_factory.mktemp("forms")
    everything: dict[tuple[str, str, str], Made] = {}
    for kind, language, header in CASES:
        image = drafts.image(folder / f"{language}-{header}-image.dcm", language, header)
        comparison = drafts.COMPARISONS[header]
        draft = drafts.draft_of(image, drafts.report(language), comparison=comparison)
        if header == "odd":
            seen = GreyImage(1, 1, b"\0", tuple(HeaderRemark))
            draft = replace(draft, selection=draft.selection.displayed(seen))
        path = folder / f"{kind}-{language}-{header}.dcm"
        document = dicom_encoder(kind).encode(draft)
        path.write_bytes(document.content)
        everything[kind, language, header] = Made(draft, document, path)
    return everything


@pytest.fixture(scope="module")
def judged(made: dict[tuple[str, str, str], Made]) -> dict[Path, list[str]]:
    """PixelMed's findings about each report, from one start of Java."""
    paths = [each.path for (kind, _, _), each in made.items() if kind in REPORTS]
    return validators.pixelmed_findings_of(paths, paths[0].parent)


@pytest.fixture(scope="module")
def pages(made: dict[tuple[str, str, str], Made]) -> dict[Path, str]:
    """Text of each report in the page that dsr2html makes of it."""
    reports = [each.path for (kind, _, _), each in made.items() if kind in REPORTS]
    return {
        path: validators.readable_text(validators.html_page(path, path.with_suffix(".html")))
        for path in reports
    }


@pytest.mark.parametrize(("kind", "language", "header"), CASES)
class TestEveryForm:
    def test_dciodvfy_finds_no_error(
        self, kind: str, language: str, header: str, made: dict[tuple[str, str, str], Made]
    ) -> None:
        assert validators.dciodvfy_errors(made[kind, language, header].path) == []

    def test_it_reads_back_and_is_written_again_as_it_was(
        self, kind: str, language: str, header: str, made: dict[tuple[str, str, str], Made]
    ) -> None:
        document = made[kind, language, header].document
        read, stream = dcmread(io.BytesIO(document.content)), io.BytesIO()
        read.save_as(stream, enforce_file_format=True)
        assert stream.getvalue() == document.content
        assert dcmread(io.BytesIO(stream.getvalue())) == read


@pytest.mark.parametrize(("kind", "language", "header"), [case for case in CASES if case[0] in REPORTS])
class TestEveryReport:
    def test_pixelmed_finds_no_error(
        self,
        kind: str,
        language: str,
        header: str,
        made: dict[tuple[str, str, str], Made],
        judged: dict[Path, list[str]],
    ) -> None:
        findings = judged[made[kind, language, header].path]
        assert [line for line in findings if line.startswith("Error")] == []

    def test_dsrdump_prints_every_word(
        self, kind: str, language: str, header: str, made: dict[tuple[str, str, str], Made]
    ) -> None:
        one = made[kind, language, header]
        printed = validators.dump(one.path)
        places = [printed.index(paragraph) for paragraph in one.paragraphs]
        assert places == sorted(places)

    def test_dsr2html_shows_every_word_under_the_banner(
        self,
        kind: str,
        language: str,
        header: str,
        made: dict[tuple[str, str, str], Made],
        pages: dict[Path, str],
    ) -> None:
        one = made[kind, language, header]
        page = pages[one.path]
        places = [page.index(paragraph) for paragraph in [BANNER, "UNVERIFIED", *one.paragraphs]]
        assert places[0] < places[2]
        assert places[2:] == sorted(places[2:])


def test_every_outcome_of_looking_for_priors_is_among_them(made: dict[tuple[str, str, str], Made]) -> None:
    said = {header: " ".join(made[REPORTS[0], "en", header].paragraphs) for header in drafts.HEADERS}
    assert "a prior chest radiograph of 2025-03-04 (PA) exists in ARCHIVE" in said["whole"]
    assert "no prior chest radiograph of the last year was found in ARCHIVE" in said["bare"]
    assert "priors could not be looked up in P&C|~^S" in said["odd"]


@pytest.mark.parametrize("language", drafts.LANGUAGES)
def test_every_remark_on_the_display_is_among_them(
    language: str, made: dict[tuple[str, str, str], Made], pages: dict[Path, str]
) -> None:
    words = words_of(language)
    remarks = (words.other_display, words.range_displayed, words.padding_ignored)
    for kind in REPORTS:
        odd, whole = (pages[made[kind, language, header].path] for header in ("odd", "whole"))
        assert all(remark in odd and remark not in whole for remark in remarks)


@pytest.mark.long
def test_a_validator_that_judges_many_files_still_finds_what_is_wrong(
    made: dict[tuple[str, str, str], Made], tmp_path: Path
) -> None:
    good = made[DocumentKind.ENHANCED_SR, "en", "whole"].path
    last = made[DocumentKind.COMPREHENSIVE_3D_SR, "ja", "bare"].path
    wrong = dcmread(last)
    (procedure,) = [
        item
        for item in wrong.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Procedure reported"
    ]
    procedure.ConceptCodeSequence[0].CodeValue = "399208008"
    wrong.save_as(tmp_path / "wrong.dcm")
    found = validators.pixelmed_findings_of([good, tmp_path / "wrong.dcm", last], tmp_path)
    assert not any(line.startswith("Error") for line in (*found[good], *found[last]))
    errors = [line for line in found[tmp_path / "wrong.dcm"] if line.startswith("Error")]
    assert len(errors) == 1
    assert "not found in context group 100" in errors[0]


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed: make tools")
@pytest.mark.parametrize("language", drafts.LANGUAGES)
def test_a_pdf_holds_text_that_can_be_searched(
    language: str, made: dict[tuple[str, str, str], Made], tmp_path: Path
) -> None:
    one = made[DocumentKind.ENCAPSULATED_PDF, language, "whole"]
    document = dcmread(one.path)
    path = tmp_path / "draft.pdf"
    path.write_bytes(document.EncapsulatedDocument[: document.EncapsulatedDocumentLength])
    done = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    text = "".join(done.stdout.split())
    assert "".join(BANNER.split()) in text
    if language != "ar":
        missing = [each for each in one.paragraphs if "".join(each.split()) not in text]
        assert missing == []
        return
    # Programs disagree on the order of marks and Latin words in it: each letter is there as often
    # as written.
    name = one.draft.subject.patient_name
    written = "".join([name, *one.paragraphs])
    assert _arabic_letters(text) == _arabic_letters(written)


def _arabic_letters(text: str) -> Counter[str]:
    normal = unicodedata.normalize("NFKC", text)
    return Counter(each for each in normal if unicodedata.bidirectional(each) == "AL")


@pytest.mark.skipif(PROGRAM is None or not DICOMWEB.exists(), reason="no Orthanc: make tools")
def test_a_pacs_takes_every_form_and_gives_it_back(made: dict[tuple[str, str, str], Made]) -> None:
    with Orthanc(dicomweb=True) as pacs:
        sender = Destinations("ECHO_NODE", {"pacs": pacs.peer}, 60.0)
        for case, one in made.items():
            assert sender.send(one.document, "pacs") == (DeliveryOutcome.SUCCESS, 0x0000), case
        for case, one in made.items():
            sent = dcmread(io.BytesIO(one.document.content))
            uids = (sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
            kept: Dataset = dcmread(io.BytesIO(pacs.wado(*map(str, uids))))
            assert kept == sent, case
