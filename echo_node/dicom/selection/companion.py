"""Companion images: made from, or taken with, the standard image of a chest.

Examples are the bone image of a dual-energy exposure, an image with enhanced tubes, and one in
expiration. The kinds, their words and codes are those of selection.toml.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pydicom.dataset import Dataset

from echo_node.dicom.selection.descriptions import (
    Description,
    codes_of_image,
    descriptions_of_image,
    descriptions_of_procedure,
    image_types,
)
from echo_node.dicom.selection.rules import CompanionRules, selection_rules


class Companion(NamedTuple):
    """A kind of companion images, and the attribute that names it."""

    kind: CompanionRules
    keyword: str

    @property
    def reason(self) -> str:
        """Reason for a radiologist why such an image is not read."""
        return f"{self.kind.reason} ({self.keyword})"


def companion(header: Dataset) -> Companion | None:
    """Return the kind of companion images that an image belongs to; None for a standard image."""
    written = list(descriptions_of_image(header))
    for kind in selection_rules().companions:
        if keyword := _named_by(kind, header, written):
            return Companion(kind, keyword)
    return None


def _named_by(kind: CompanionRules, header: Dataset, written: Sequence[Description]) -> str | None:
    """Return the attribute that names a kind; *written* are the texts that describe the image."""
    rules = selection_rules()
    if kind.unless_standard and any(rules.standard.search(each.written) for each in written):
        return None
    if any(re.sub(r"[\W_]", "", each).upper() in kind.values for each in image_types(header)):
        return "ImageType"
    for coded in codes_of_image(header):
        if coded.code in kind.codes:
            return coded.keyword
    for each in written:
        if not (each.is_protocol and kind.unless_standard) and _is_named(kind, each.written):
            return each.keyword
    if kind.in_procedures:
        for each in descriptions_of_procedure(header):
            if _is_named(kind, each.written) and not rules.procedures.search(each.written):
                return each.keyword
    return None


def _is_named(kind: CompanionRules, written: str) -> bool:
    if not kind.words.search(written):
        return False
    return not (kind.not_beside and kind.not_beside.search(written))
