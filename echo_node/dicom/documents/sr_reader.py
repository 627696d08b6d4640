"""Reader of Structured Reports: sections for the console, all texts for data sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from echo_node.dicom.header_values import PARSE_ERRORS, text
from echo_node.domain.drafts.draft import MANUFACTURER
from echo_node.errors import PermanentError


@dataclass(frozen=True, slots=True)
class TextSection:
    """A container of the document's root: its heading, and its texts in order."""

    heading: str
    texts: tuple[str, ...]


def read_sections(part10: bytes) -> list[TextSection]:
    """Return the sections of an SR document (PS3.3 C.17.3) that contain text.

    Raises:
        PermanentError: it is not a readable SR document.
    """
    try:
        document = dcmread(BytesIO(part10))
        sections = [
            TextSection(_heading(item), tuple(_texts(item)))
            for item in document.ContentSequence
            if item.ValueType == "CONTAINER"
        ]
    except PARSE_ERRORS as error:
        raise PermanentError(f"not a readable Structured Report ({type(error).__name__})") from error
    return [section for section in sections if section.texts]


def _heading(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def _texts(container: Dataset) -> list[str]:
    items = container.get("ContentSequence", [])
    return [str(item.TextValue) for item in items if item.ValueType == "TEXT"]


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """A report as texts with their headings: patient data.

    Attributes:
        study_instance_uid: UID of the study.
        accession_number: accession number; empty if not stated.
        written_at: content date and time in DICOM's digits, which sorts by time.
        is_draft: whether this program wrote it.
        texts: text items, each after the names of its containers and its own, outermost first.
    """

    study_instance_uid: str = field(repr=False)
    accession_number: str = field(repr=False)
    written_at: str = field(repr=False)
    is_draft: bool
    texts: tuple[tuple[tuple[str, ...], str], ...] = field(repr=False)


def read_report(part10: bytes) -> ReportDocument:
    """Return the texts of an SR document, from containers of any depth.

    Raises:
        PermanentError: it is not a readable SR document.
    """
    try:
        document = dcmread(BytesIO(part10))
        return ReportDocument(
            study_instance_uid=text(document, "StudyInstanceUID"),
            accession_number=text(document, "AccessionNumber"),
            written_at=text(document, "ContentDate") + text(document, "ContentTime"),
            is_draft=text(document, "Manufacturer") == MANUFACTURER,
            texts=tuple(_named_texts(document.ContentSequence, ())),
        )
    except PARSE_ERRORS as error:
        raise PermanentError(f"not a readable Structured Report ({type(error).__name__})") from error


def _named_texts(items: list[Dataset], within: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for item in items:
        names = (*within, _heading(item)) if item.get("ConceptNameCodeSequence") else within
        if item.ValueType == "TEXT":
            yield names, str(item.TextValue)
        yield from _named_texts(item.get("ContentSequence", []), names)
