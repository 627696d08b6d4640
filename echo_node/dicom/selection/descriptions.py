"""Texts and codes of a header: some describe the image, others its procedure.

A protocol is chosen for an image or for a procedure. A study's description is about all its images.
A comment counts only if it is a label: other comments speak of the patient or of the quality.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydicom.dataset import Dataset

from echo_node.dicom.header_values import CODE_VALUES, first_text, items, text, values
from echo_node.dicom.selection.phrases import comparable
from echo_node.dicom.selection.rules import Code, coded, selection_rules

_SERIES_TEXTS = (
    "ViewPosition", "SeriesDescription", "AcquisitionDeviceProcessingDescription", "ProcessingFunction",
    "PostprocessingFunction", "DerivationDescription", "ContentDescription", "PresentationIntentType",
    "PatientPosition",
)  # fmt: skip
_COMMENTS = ("ImageComments", "AcquisitionComments")
_PROTOCOL_TEXTS = ("ProtocolName", "AcquisitionProtocolName", "AcquisitionProtocolDescription")
_PROCEDURE_TEXTS = (
    "PerformedProcedureStepDescription", "RequestedProcedureDescription", "StudyDescription",
    "ScheduledProcedureStepDescription",
)  # fmt: skip
_IMAGE_CODES = (
    "ViewCodeSequence", "ViewModifierCodeSequence", "ProjectionEponymousNameCodeSequence",
    "PatientOrientationCodeSequence", "PatientOrientationModifierCodeSequence",
    "AcquisitionContextSequence", "DerivationCodeSequence", "PrimaryAnatomicStructureSequence",
    "SeriesDescriptionCodeSequence",
)  # fmt: skip
_PROTOCOL_CODES = ("PerformedProtocolCodeSequence", "ScheduledProtocolCodeSequence")
_PROCEDURE_CODES = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence")
_NESTED = ("ViewModifierCodeSequence", "PatientOrientationModifierCodeSequence", "ConceptCodeSequence")
_BASIC_IMAGE_TYPES = {"", "ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY"}


class Description(NamedTuple):
    """A text of the header. `is_protocol`: it is the name of a protocol."""

    keyword: str
    written: str
    is_protocol: bool = False


class CodedDescription(NamedTuple):
    """A code of the header, with its meaning."""

    keyword: str
    code: Code
    meaning: str


def descriptions_of_image(header: Dataset) -> Iterator[Description]:
    """Return the texts that describe this image, code meanings and special image types included."""
    for keyword in _SERIES_TEXTS:
        yield Description(keyword, text(header, keyword))
    for keyword in _COMMENTS:
        if _is_label(written := text(header, keyword)):
            yield Description(keyword, written)
    for value in image_types(header):
        yield Description("ImageType", value)
    for each in codes_of_image(header):
        yield Description(each.keyword, each.meaning)
    for keyword in _PROTOCOL_TEXTS:
        yield Description(keyword, text(header, keyword), is_protocol=True)
    for each in _codes(header, _PROTOCOL_CODES):
        yield Description(each.keyword, each.meaning, is_protocol=True)


def descriptions_of_procedure(header: Dataset) -> Iterator[Description]:
    """Return the texts that describe the procedure or the study."""
    for described in (header, *items(header, "RequestAttributesSequence")):
        for keyword in _PROCEDURE_TEXTS:
            yield Description(keyword, text(described, keyword))
        for each in _codes(described, _PROCEDURE_CODES):
            yield Description(each.keyword, each.meaning)


def codes_of_image(header: Dataset) -> Iterator[CodedDescription]:
    """Return the codes that describe this image."""
    return _codes(header, _IMAGE_CODES)


def image_types(header: Dataset) -> list[str]:
    """Return the values of ImageType other than ORIGINAL, DERIVED, PRIMARY and SECONDARY."""
    return [each for each in values(header, "ImageType") if each.upper() not in _BASIC_IMAGE_TYPES]


def code_of(item: Dataset) -> Code:
    """Return the code of an item."""
    return coded(text(item, "CodingSchemeDesignator").upper(), first_text((item,), CODE_VALUES))


def _is_label(written: str) -> bool:
    """Return whether a comment consists of words of selection.toml only."""
    rules, compared = selection_rules(), comparable(written)
    kinds = (*rules.view.words.values(), *(each.words for each in rules.companions))
    for phrases in (*kinds, rules.chest.words, rules.standard, rules.labels):
        for first, last in phrases.spans(compared):
            compared = compared[:first] + " " * (last - first) + compared[last:]
    return not any(each.isalpha() for each in compared)


def _codes(header: Dataset, keywords: tuple[str, ...]) -> Iterator[CodedDescription]:
    for keyword in keywords:
        for item in items(header, keyword):
            yield CodedDescription(keyword, code_of(item), text(item, "CodeMeaning"))
            for each in _codes(item, _NESTED):
                yield each._replace(keyword=keyword)
