"""View of a chest image by its header: frontal, PA or AP? The most reliable attribute comes first.

The order is View Position, View Code Sequence (CID 4010), texts that describe the image, and
Patient Orientation. The words and codes are those of selection.toml. An image whose header
contradicts itself does not count as frontal. If the header states no view, the selector decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydicom.dataset import Dataset

from echo_node.dicom.header_values import items, text, values
from echo_node.dicom.image.orientation import patient_orientation
from echo_node.dicom.selection.descriptions import (
    Description,
    code_of,
    codes_of_image,
    descriptions_of_image,
    descriptions_of_procedure,
)
from echo_node.dicom.selection.phrases import comparable
from echo_node.dicom.selection.rules import AP, FRONTAL, LATERAL, PA, RIB, SPECIAL_VIEWS, selection_rules
from echo_node.errors import NotEligible

_FRONTAL_VIEWS = {PA, AP, FRONTAL}
_RECUMBENT_ON_A_SIDE = {"HFDL", "HFDR", "FFDL", "FFDR"}
"""Values of PatientPosition (PS3.3 C.7.3.1.1.2)."""


class StatedView(NamedTuple):
    """View that a header states.

    Attributes:
        view: `PA`, `AP`, `frontal` if it may be either, or the name of another view; None if the
            header states none, or one that is not known.
        refusal: reason why the image does not count as frontal; empty if it may.
    """

    view: str | None
    refusal: str = ""


def frontal_view(header: Dataset) -> str | None:
    """Return `PA`, `AP`, or `frontal` if it may be either; None if the header states no view.

    Raises:
        NotEligible: the view is not frontal, or the header contradicts itself.
    """
    stated = stated_view(header)
    if stated.refusal:
        raise NotEligible(stated.refusal)
    return stated.view


def stated_view(header: Dataset) -> StatedView:
    """Return the view that the header states, and the reason if it does not count as frontal."""
    position = _by_position(header)
    if position.refusal:
        return position
    coded = _by_code(header)
    if position.view is None and coded.refusal:
        return coded
    view = position.view or coded.view
    other = _other_view(header)
    if other is not None and view in _FRONTAL_VIEWS:
        return StatedView(
            other.view,
            "the header contradicts itself: its view is frontal, "
            f"its description {other.view} ({other.keyword})",
        )
    if view is None:
        described = {each for each in map(_described, descriptions_of_image(header)) if each}
        if other is None:
            view = _only_view(described)
        elif other.view != LATERAL or not described & _FRONTAL_VIEWS:
            view = other.view
    orientation = patient_orientation(header)
    if view is None and orientation is not None:
        view = FRONTAL if orientation.is_frontal else LATERAL
    if view is None:
        return StatedView(None)
    if view not in _FRONTAL_VIEWS:
        return StatedView(view, f"{_article(view)} {view} view, not a frontal one")
    if orientation is not None and not orientation.is_frontal:
        return StatedView(
            LATERAL, "the header contradicts itself: its view is frontal, its orientation is not"
        )
    return StatedView(view)


class _OtherView(NamedTuple):
    """View other than a frontal one, and the attribute that names it."""

    view: str
    keyword: str


def _other_view(header: Dataset) -> _OtherView | None:
    """Return a view that the header names and that is not frontal; lateral comes last."""
    found = list(_other_views(header))
    return min(found, key=lambda each: each.view == LATERAL, default=None)


def _other_views(header: Dataset) -> Iterator[_OtherView]:
    rules = selection_rules().view
    for each in descriptions_of_image(header):
        if (view := _described(each)) and view not in _FRONTAL_VIEWS:
            yield _OtherView(view, each.keyword)
    for coded in codes_of_image(header):
        if (view := rules.codes.get(coded.code)) and view not in _FRONTAL_VIEWS:
            yield _OtherView(view, coded.keyword)
    if text(header, "PatientPosition").upper() in _RECUMBENT_ON_A_SIDE:
        yield _OtherView("decubitus", "PatientPosition")
    if _is_between_planes(header):
        yield _OtherView("oblique", "PatientOrientation")
    for each in descriptions_of_procedure(header):
        if view := _only_special_view(each.written):
            yield _OtherView(view, each.keyword)


def _by_position(header: Dataset) -> StatedView:
    """Return the view by ViewPosition, which some systems fill with several words."""
    rules = selection_rules().view
    written = text(header, "ViewPosition")
    position = [each for each in re.split(r"[\s_\-/\\]+", written.upper()) if each]
    if not position or rules.no_view.issuperset(position):
        return StatedView(None)
    named = _views_in(written)
    if whole := rules.positions.get("".join(position)):
        named = {whole}
    else:
        named |= {rules.positions[each] for each in position if each in rules.positions}
    if not named and selection_rules().chest.words.search(written):
        return StatedView(None)
    if not named:
        return StatedView(None, "the header's view position is not a frontal one")
    return StatedView(_main_view(named))


def _by_code(header: Dataset) -> StatedView:
    """Return the view by ViewCodeSequence; a code that is not known may count by its meaning."""
    known = selection_rules().view.codes
    views = set()
    for item in items(header, "ViewCodeSequence"):
        if view := known.get(code_of(item)):
            views.add(view)
        elif text(item, "CodeValue") or text(item, "CodeMeaning"):
            view = _main_view(_views_in(text(item, "CodeMeaning")))
            if view not in _FRONTAL_VIEWS:
                return StatedView(view, "the header codes another view than a frontal one")
            views.add(view)
    return StatedView(_main_view(views))


def _article(view: str) -> str:
    return "an" if view[0] in "aeiou" else "a"


def _described(description: Description) -> str | None:
    """Return the view that a text states; None without one, or if it describes a procedure.

    "PA with obliques" and "AP, 3 views" describe procedures. "Chest PA, ribs" is a chest: rib views
    are AP.
    """
    named = _views_in(description.written)
    if named & _FRONTAL_VIEWS and selection_rules().procedures.search(description.written):
        named -= {*SPECIAL_VIEWS}
    if PA in named and selection_rules().chest.words.search(description.written):
        named -= {RIB}
    return _main_view(named)


def _main_view(named: set[str]) -> str | None:
    """Return the view of an image for which these are named; a special one before AP and PA.

    No image is both frontal and lateral: a text that names both describes a procedure.
    """
    if LATERAL in named and named & _FRONTAL_VIEWS:
        return None
    if special := [each for each in SPECIAL_VIEWS if each in named]:
        return special[0]
    return _only_view(named)


def _views_in(written: str) -> set[str]:
    """Return the views that a text names. "Left lateral decubitus" does not name a lateral view."""
    words, compared = selection_rules().view.words, comparable(written)
    named: set[str] = set()
    for view in (*SPECIAL_VIEWS, *(each for each in words if each not in SPECIAL_VIEWS)):
        if spans := words[view].spans(compared):
            named.add(view)
            if view in SPECIAL_VIEWS:
                for first, last in spans:
                    compared = compared[:first] + "·" * (last - first) + compared[last:]
    return named


def _only_view(named: Iterable[str]) -> str | None:
    """Return the only view that is named; `frontal` adds nothing to PA or AP."""
    views = {*named}
    views -= {FRONTAL} if views & {PA, AP} else set()
    if views == {PA, AP}:
        return FRONTAL
    return next(iter(views)) if len(views) == 1 else None


def _only_special_view(written: str) -> str | None:
    """Return the special view of all images of a procedure; None if it may have other images."""
    named = _views_in(written)
    if selection_rules().chest.words.search(written):
        named -= {RIB}
    special = [each for each in SPECIAL_VIEWS if each in named]
    if not special or named & {PA, FRONTAL, LATERAL} or selection_rules().procedures.search(written):
        return None
    return special[0]


def _is_between_planes(header: Dataset) -> bool:
    """Return whether the rows run to a side and to the front or back (PS3.3 C.7.6.1.1.1)."""
    rows = (values(header, "PatientOrientation") or [""])[0].upper()
    return rows[:1] in {"L", "R"} and bool(set(rows[1:]) & {"A", "P"})
