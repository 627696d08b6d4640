"""Does an image show the chest? Asked of its header, most reliable attribute first.

BodyPartExamined (PS3.16 Annex L), then AnatomicRegionSequence, then what people wrote: protocol and
series before study. An image whose header says nothing is not taken for a chest.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from echo_node.dicom.header import text

_CHEST_PARTS = {"CHEST", "THORAX", "TORAX", "LUNG", "LUNGS", "CXR"}
_NO_PART = {"", "UNKNOWN", "OTHER", "UNSPECIFIED", "NONE", "NA", "BODY", "TRUNK", "DEFAULT", "MISC"}
_VIEW_WORDS = {"PA", "AP", "LAT", "LATERAL", "FRONTAL", "ERECT", "SUPINE", "PORTABLE", "BEDSIDE"}
# Terms that may be repeated in a reason: free text in the attribute could be anything, a name included.
_OTHER_PARTS = {
    "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ARM", "BREAST", "CALCANEUS", "CERVICALSPINE", "CHESTABDOMEN",
    "CLAVICLE", "CSPINE", "ELBOW", "EXTREMITY", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HIP",
    "HUMERUS", "JAW", "KNEE", "LEG", "LSPINE", "LUMBARSPINE", "NECK", "PELVIS", "RIB", "RIBS", "SCAPULA",
    "SHOULDER", "SKULL", "SPINE", "STERNUM", "THIGH", "THORACICSPINE", "THUMB", "TIBIAFIBULA", "TOE",
    "TSPINE", "WHOLEBODY", "WRIST",
}  # fmt: skip

_CHEST_CODES = {
    ("SCT", "816094009"), ("SCT", "51185008"), ("SRT", "T-D3000"), ("SNM3", "T-D3000"),
    ("SCT", "39607008"), ("SRT", "T-28000"), ("SNM3", "T-28000"), ("99SDM", "T-D3000"),
}  # fmt: skip

_CHEST_WORDS = re.compile(
    r"\b(chest|thorax|tora[xk]s?|tórax|cxr|lungs?|lungen?|poumons?|pulm\w*)\b|胸部|흉부"
)
_OTHER_WORDS = re.compile(
    r"\b(abdom\w*|ankle|arm|elbow|femur|finger|foot|forearm|hand|head|hip|humerus|knee|leg|neck|pelvis|ribs?|"
    r"scapula|shoulder|skull|spine|sternum|thigh|thumb|tibia|toe|wrist|babygram|column|vertebra\w*|"
    r"clavicle|extremity|fibula)\b"
)
_NEAREST_TEXTS = (
    "ProtocolName",
    "SeriesDescription",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
)
_STUDY_TEXTS = ("RequestedProcedureDescription", "StudyDescription")


def why_not_chest(header: Dataset) -> str | None:
    """Return why the image is not one of the chest, for a person; None if it is."""
    part = _body_part(header)
    if part not in _NO_PART:
        if part in _CHEST_PARTS:
            return None
        named = f"says {part}" if part in _OTHER_PARTS else "names another one"
        return f"wrong body part: the header {named}, not chest"
    regions = [
        (text(item, "CodingSchemeDesignator"), text(item, "CodeValue"))
        for item in header.get("AnatomicRegionSequence") or []
    ]
    if regions:
        if all(region in _CHEST_CODES for region in regions):
            return None
        return "wrong body part: the header codes another anatomic region than the chest"
    for keywords in (_NEAREST_TEXTS, _STUDY_TEXTS):
        written = " ".join(text(header, each) for each in keywords).casefold()
        chest, other = _CHEST_WORDS.search(written), _OTHER_WORDS.search(written)
        if chest and not other:
            return None
        if other:
            return "wrong body part: the header's descriptions name another one than the chest"
    return "the header does not say which body part is shown"


def _body_part(header: Dataset) -> str:
    """Return the body part without the view that some systems write behind it."""
    words = re.split(r"[\s_\-/\\]+", text(header, "BodyPartExamined").upper())
    return "".join(word for word in words if word not in _VIEW_WORDS)
