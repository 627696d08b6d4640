"""Body part of an image by its header: is it the chest? The most reliable attribute comes first.

The order is BodyPartExamined (PS3.16 Annex L), AnatomicRegionSequence, and the texts that people
wrote, protocol and series before study. The words and codes are those of selection.toml. If the
header states no body part, the image does not count as a chest. Neither does an image whose body
part is the chest, but whose own description names another one only.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from echo_node.dicom.header_values import codes, text
from echo_node.dicom.selection.rules import ChestRules, selection_rules

_NEAREST_TEXTS = (
    "ProtocolName",
    "SeriesDescription",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
)
_OF_THE_IMAGE = ("SeriesDescription", "ProtocolName")
UNTOLD = "the header does not say which body part is shown"
_STUDY_TEXTS = ("RequestedProcedureDescription", "StudyDescription")


def why_not_chest(header: Dataset) -> str | None:
    """Return the reason why the image is not a chest image, for a person; None if it is."""
    rules = selection_rules().chest
    part = _body_part(header, rules)
    if part not in rules.no_body_part:
        if part in rules.body_parts or _names_chest(text(header, "BodyPartExamined"), rules):
            return _contradiction(header, rules)
        named = f"says {part}" if part in rules.named_parts else "names another one"
        return f"wrong body part: the header {named}, not chest"
    if regions := codes(header, "AnatomicRegionSequence"):
        if rules.codes.issuperset(regions):
            return None
        return "wrong body part: the header codes another anatomic region than the chest"
    for keywords in (_NEAREST_TEXTS, _STUDY_TEXTS):
        written = " ".join(text(header, each) for each in keywords)
        if _names_chest(written, rules):
            return None
        if rules.words_of_other_parts.search(written):
            return "wrong body part: the header's descriptions name another one than the chest"
    return UNTOLD


def _names_chest(written: str, rules: ChestRules) -> bool:
    return rules.words.search(written) and not rules.words_of_other_parts.search(written)


def _contradiction(header: Dataset, rules: ChestRules) -> str | None:
    for keyword in _OF_THE_IMAGE:
        written = text(header, keyword)
        if rules.words_of_other_parts.search(written) and not rules.words.search(written):
            return (
                f"wrong body part: the header says chest, but its description names another one ({keyword})"
            )
    return None


def _body_part(header: Dataset, rules: ChestRules) -> str:
    """Return the body part without the view that some systems append."""
    words = re.split(r"[\s_\-/\\]+", text(header, "BodyPartExamined").upper())
    return "".join(word for word in words if word not in rules.view_words)
