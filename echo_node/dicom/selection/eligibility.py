"""Whether an image may be read by its header, and what the header says that it is."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID

from echo_node.dicom.contexts import contexts
from echo_node.dicom.header_values import text, whole_number
from echo_node.dicom.image.orientation import is_turned, patient_orientation
from echo_node.dicom.image.photometric import grey_interpretation
from echo_node.dicom.selection.age import age_in_years
from echo_node.dicom.selection.body_part import UNTOLD, why_not_chest
from echo_node.dicom.selection.companion import Companion, companion
from echo_node.dicom.selection.view import stated_view
from echo_node.domain.studies.study import ImageKind, StoredInstance
from echo_node.settings import SelectionSettings

UNSTATED_VIEW = "the header does not state whether it is a frontal view"


@dataclass(frozen=True, slots=True)
class Assessment:
    """Result for one image.

    Attributes:
        kind: what the header says that the image is.
        is_body_part_stated: whether the header states the body part.
        refusal: reason why the image is not read; empty if it may be.
    """

    kind: ImageKind
    is_body_part_stated: bool
    refusal: str


def assess(
    instance: StoredInstance,
    header: Dataset,
    settings: SelectionSettings,
    *,
    body_part_may_be_unstated: bool,
    view_may_be_unstated: bool,
) -> Assessment:
    """Return the kind of an image by its header, and the first reason against reading it.

    Args:
        instance: the image.
        header: its header.
        settings: further restrictions.
        body_part_may_be_unstated: whether the view check may recognise the chest.
        view_may_be_unstated: whether the view check may recognise the view.
    """
    stated, accompanies = stated_view(header), companion(header)
    no_chest = why_not_chest(header)
    is_body_part_stated = no_chest != UNTOLD
    unstated = stated.view is None and not stated.refusal and not view_may_be_unstated
    reasons = (
        _not_a_radiograph(instance, header),
        no_chest if is_body_part_stated or not body_part_may_be_unstated else None,
        _why_companion_unread(accompanies, settings),
        stated.refusal,
        UNSTATED_VIEW if unstated else None,
        _sides(header),
        _restricted(header, settings),
    )
    return Assessment(
        ImageKind(stated.view or "", accompanies.kind.name if accompanies else ""),
        is_body_part_stated,
        next((reason for reason in reasons if reason), ""),
    )


def _not_a_radiograph(instance: StoredInstance, header: Dataset) -> str | None:
    storage_class = contexts().storage_class(instance.identity.sop_class_uid)
    if storage_class is None:
        known = UID(instance.identity.sop_class_uid)
        return f"not a radiograph but {known.name if known.is_private is False else 'private'}"
    if not storage_class.drafted:
        return storage_class.unread_reason
    if whole_number(header, "NumberOfFrames") not in {None, 1}:
        return "a multi-frame image"
    if whole_number(header, "SamplesPerPixel") != 1 or grey_interpretation(header) is None:
        return "a colour image, or one without pixels"
    return None


def _why_companion_unread(accompanies: Companion | None, settings: SelectionSettings) -> str | None:
    if accompanies is None or (accompanies.kind.is_readable and settings.companions == "read"):
        return None
    return accompanies.reason


def _sides(header: Dataset) -> str | None:
    """Return the reason against an image of one side, or one that may be mirrored unnoticed."""
    sides = {
        side for side in (text(header, each).upper() for each in ("Laterality", "ImageLaterality")) if side
    }
    if len(sides) > 1:
        return "the header contradicts itself about the laterality"
    if sides & {"L", "R"}:
        return "the header's laterality names one side of a frontal chest image"
    if is_turned(header) and patient_orientation(header) is None:
        return "the image was rotated or flipped, and the header does not state its orientation afterwards"
    return None


def _restricted(header: Dataset, settings: SelectionSettings) -> str | None:
    if settings.burned_in_annotation == "skip" and text(header, "BurnedInAnnotation") == "YES":
        return "the header says that there is text in the image"
    age, least = age_in_years(header), settings.minimum_age_years
    if age is not None and age < least:
        return f"the patient is younger than {least} years"
    return None
