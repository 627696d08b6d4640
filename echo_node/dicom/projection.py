"""Is a chest image a frontal one, PA or AP? Asked of its header, most reliable attribute first.

View Position, then View Code Sequence (CID 4010), then protocol and series text, then Patient
Orientation. An image whose header says nothing is not taken for a frontal one, and neither is one whose
header contradicts itself.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from echo_node.dicom.header import text
from echo_node.dicom.orientation import patient_orientation
from echo_node.errors import NotEligible

PA, AP, FRONTAL = "PA", "AP", "frontal"

_LATERAL, _OBLIQUE, _DECUBITUS = "lateral", "oblique", "decubitus"
_VIEW_POSITIONS = {
    "PA": PA, "AP": AP, "LL": _LATERAL, "RL": _LATERAL, "LAT": _LATERAL, "LATERAL": _LATERAL,
    "LLAT": _LATERAL, "RLAT": _LATERAL, "LLD": _DECUBITUS, "RLD": _DECUBITUS, "LLO": _OBLIQUE,
    "RLO": _OBLIQUE, "LAO": _OBLIQUE, "RAO": _OBLIQUE, "LPO": _OBLIQUE, "RPO": _OBLIQUE, "OBL": _OBLIQUE,
    "POSTEROANTERIOR": PA, "ANTEROPOSTERIOR": AP,
}  # fmt: skip
_VIEW_CODES = {
    ("SCT", "272479007"): PA, ("SRT", "R-10214"): PA, ("SNM3", "R-10214"): PA,
    ("SCT", "399348003"): AP, ("SRT", "R-10206"): AP, ("SNM3", "R-10206"): AP,
    ("SCT", "399033003"): FRONTAL,
    ("SCT", "399067008"): _LATERAL, ("SCT", "399173006"): _LATERAL, ("SCT", "399198007"): _LATERAL,
    ("SRT", "R-10228"): _LATERAL, ("SRT", "R-10232"): _LATERAL, ("SRT", "R-10236"): _LATERAL,
}  # fmt: skip
_WORDS = (
    (PA, re.compile(r"\b(pa|p\.a\.?|postero[- ]?anterior)(?![a-z])")),
    (AP, re.compile(r"\b(ap|a\.p\.?|antero[- ]?posterior)(?![a-z])")),
    (_LATERAL, re.compile(r"\b(lat|lateral|seitlich|profil|ll)\b")),
    (_OBLIQUE, re.compile(r"\b(obl|oblique)\b")),
    (_DECUBITUS, re.compile(r"\b(decub|decubitus)\b")),
    (FRONTAL, re.compile(r"\b(frontal)\b")),
)
_TEXTS = ("ProtocolName", "SeriesDescription", "AcquisitionDeviceProcessingDescription")


def frontal_view(header: Dataset) -> str:
    """Return `PA`, `AP`, or `frontal` where the header does not say which of the two.

    Raises:
        NotEligible: it is not frontal, or the header does not tell; the message is the reason.
    """
    position = re.split(r"[\s_\-/\\]+", text(header, "ViewPosition").upper())
    stated = _VIEW_POSITIONS.get("".join(position)) or _VIEW_POSITIONS.get(position[0])
    if text(header, "ViewPosition") and stated is None:
        raise NotEligible("the header's view position is not a frontal one")
    written = _views_in(" ".join(text(header, each) for each in _TEXTS))
    view = stated or _coded(header)
    if view in {PA, AP, FRONTAL} and written == {_LATERAL}:
        raise NotEligible("the header contradicts itself: its view is frontal, its description lateral")
    if view is None:
        view = _only_view(written)
    orientation = patient_orientation(header)
    if view is None and orientation is not None:
        view = FRONTAL if orientation.is_frontal else _LATERAL
    if view is None:
        raise NotEligible("the header does not say whether it is a frontal view")
    if view not in {PA, AP, FRONTAL}:
        raise NotEligible(f"a {view} view, not a frontal one".replace("a oblique", "an oblique"))
    if orientation is not None and not orientation.is_frontal:
        raise NotEligible("the header contradicts itself: its view is frontal, its orientation is not")
    return view


def _coded(header: Dataset) -> str | None:
    items = header.get("ViewCodeSequence") or []
    if not items:
        return None
    code = (text(items[0], "CodingSchemeDesignator"), text(items[0], "CodeValue"))
    if code not in _VIEW_CODES:
        raise NotEligible("the header codes another view than a frontal one")
    return _VIEW_CODES[code]


def _views_in(written: str) -> set[str]:
    return {view for view, pattern in _WORDS if pattern.search(written.casefold())}


def _only_view(written: set[str]) -> str | None:
    """Return the one view that a description names; `frontal` beside PA or AP says no more than they do."""
    named = written - {FRONTAL} if written & {PA, AP} else written
    if named == {PA, AP}:
        return FRONTAL
    return next(iter(named)) if len(named) == 1 else None
