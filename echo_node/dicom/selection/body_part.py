"""Body part of an image by its header: is it the chest? The most reliable attribute comes first.

The order is BodyPartExamined (PS3.16 Annex L), AnatomicRegionSequence, and the texts that people
wrote, protocol and series before study. The words and codes are those of selection.toml. If the
header states no body part, the image does not count as a chest.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from echo_node.dicom.header import text
from echo_node.dicom.selection.rules import ChestRules, selection_rules

_NEAREST_TEXTS = (
    "ProtocolName",
    "SeriesDescription",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
)
UNTOLD = "the header does not say which body part is shown"
_STUDY_TEXTS = ("RequestedProcedureDescription", "StudyDescription")


def why_not_chest(header: Dataset) -> str | None:
    """Return the reason why the image is not a chest image, for a person; None if it is."""
    rules = selection_rules().chest
    part = _body_part(header, rules)
    if part not in rules.no_body_part:
        if part in rules.body_parts:
            return None
        named = f"says {part}" if part in rules.named_parts else "names another one"
        return f"wrong body part: the header {named}, not chest"
    regions = [
        (text(item, "CodingSchemeDesignator"), text(item, "CodeValue"))
        for item in header.get("AnatomicRegionSequence") or []
    ]
    if regions:
        if rules.codes.issuperset(regions):
            return None
        return "wrong body part: the header codes another anatomic region than the chest"
    for keywords in (_NEAREST_TEXTS, _STUDY_TEXTS):
        written = " ".join(text(header, each) for each in keywords).casefold()
        chest, other = rules.words.search(written), rules.words_of_other_parts.search(written)
        if chest and not other:
            return None
        if other:
            return "wrong body part: the header's descriptions name another one than the chest"
    return UNTOLD


def _body_part(header: Dataset, rules: ChestRules) -> str:
    """Return the body part without the view that some systems append."""
    words = re.split(r"[\s_\-/\\]+", text(header, "BodyPartExamined").upper())
    return "".join(word for word in words if word not in rules.view_words)
