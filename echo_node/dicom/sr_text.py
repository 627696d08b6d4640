"""Reading a Structured Report back as sections of text, for a person at a console."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from echo_node.dicom.header import PARSE_ERRORS
from echo_node.errors import PermanentError


@dataclass(frozen=True, slots=True)
class TextSection:
    """A container of the document's root: its heading and the texts in it, in order."""

    heading: str
    texts: tuple[str, ...]


def read_sections(part10: bytes) -> list[TextSection]:
    """Return the sections of an SR document (PS3.3 C.17.3) that hold text.

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
