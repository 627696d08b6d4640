"""View of a chest image by its header: frontal, PA or AP? The most reliable attribute comes first.

The order is View Position, View Code Sequence (CID 4010), protocol and series text, and Patient
Orientation. The words and codes are those of selection.toml. An image whose header contradicts
itself does not count as frontal. If the header states no view, the selector decides.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from echo_node.dicom.header import text
from echo_node.dicom.image.orientation import patient_orientation
from echo_node.dicom.selection.rules import AP, FRONTAL, LATERAL, PA, selection_rules
from echo_node.errors import NotEligible

_FRONTAL_VIEWS = {PA, AP, FRONTAL}
_TEXTS = ("ProtocolName", "SeriesDescription", "AcquisitionDeviceProcessingDescription")


def frontal_view(header: Dataset) -> str | None:
    """Return `PA`, `AP`, or `frontal` if it may be either; None if the header states no view.

    Raises:
        NotEligible: the view is not frontal, or the header contradicts itself.
    """
    position = re.split(r"[\s_\-/\\]+", text(header, "ViewPosition").upper())
    known = selection_rules().view.positions
    stated = known.get("".join(position)) or known.get(position[0])
    if text(header, "ViewPosition") and stated is None:
        raise NotEligible("the header's view position is not a frontal one")
    written = _views_in(" ".join(text(header, each) for each in _TEXTS))
    view = stated or _coded(header)
    if view in _FRONTAL_VIEWS and written == {LATERAL}:
        raise NotEligible("the header contradicts itself: its view is frontal, its description lateral")
    if view is None:
        view = _only_view(written)
    orientation = patient_orientation(header)
    if view is None and orientation is not None:
        view = FRONTAL if orientation.is_frontal else LATERAL
    if view is None:
        return None
    if view not in _FRONTAL_VIEWS:
        raise NotEligible(f"a {view} view, not a frontal one".replace("a oblique", "an oblique"))
    if orientation is not None and not orientation.is_frontal:
        raise NotEligible("the header contradicts itself: its view is frontal, its orientation is not")
    return view


def _coded(header: Dataset) -> str | None:
    items = header.get("ViewCodeSequence") or []
    if not items:
        return None
    code = (text(items[0], "CodingSchemeDesignator"), text(items[0], "CodeValue"))
    known = selection_rules().view.codes
    if code not in known:
        raise NotEligible("the header codes another view than a frontal one")
    return known[code]


def _views_in(written: str) -> set[str]:
    found = selection_rules().view.words.items()
    return {view for view, pattern in found if pattern.search(written.casefold())}


def _only_view(written: set[str]) -> str | None:
    """Return the only view that a description names; `frontal` adds nothing to PA or AP."""
    named = written - {FRONTAL} if written & {PA, AP} else written
    if named == {PA, AP}:
        return FRONTAL
    return next(iter(named)) if len(named) == 1 else None
