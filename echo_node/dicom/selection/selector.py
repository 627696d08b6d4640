"""Choice of the image to read: the newest original frontal chest radiograph, PA before AP.

Every other image stays unread, and the draft shows the radiologist why. If no image can be read,
the study is skipped and the operator sees the reasons. Headers decide first. The view check then
looks at the pixels of the chosen image only, and may reject it. No reason contains patient data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset
from pydicom.uid import UID

from echo_node.dicom.contexts import contexts
from echo_node.dicom.header import PARSE_ERRORS, text
from echo_node.dicom.image.orientation import is_turned, patient_orientation
from echo_node.dicom.selection.age import age_in_years
from echo_node.dicom.selection.body_part import why_not_chest
from echo_node.dicom.selection.headers import StudyHeaders, described
from echo_node.dicom.selection.key_objects import is_key_object, rejections, title_of
from echo_node.dicom.selection.patient_identity import patient_difference_in_words
from echo_node.dicom.selection.rules import FRONTAL, PA
from echo_node.dicom.selection.view import frontal_view
from echo_node.domain.ports import AppearanceCheck, PixelReader
from echo_node.domain.studies.appearance import Appearance, Zone
from echo_node.domain.studies.study import SelectedImage, Selection, StoredInstance, UnreadImage
from echo_node.errors import NotEligible, PermanentError
from echo_node.settings import SelectionSettings

_TIMES = (
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An image that may be read by its header; `view` is None if the header states none."""

    instance: StoredInstance
    header: Dataset
    view: str | None

    @property
    def rank(self) -> tuple[object, ...]:
        """Key that sorts the image to read last. Of equal images, the earlier instance is read."""
        return (
            self.view is not None,
            self.view == PA,
            text(self.header, "ImageType").upper().startswith("ORIGINAL"),
            _taken_at(self.header),
            text(self.header, "LossyImageCompression") != "01",
            -_number(self.header),
            self.instance.identity.sop_instance_uid,
        )


EVERY_CHEST = SelectionSettings(minimum_age_years=0, burned_in_annotation="read")
"""Settings that allow every frontal chest image: for data sets, which have their own rules."""

DEFAULTS: SelectionSettings = SelectionSettings()

_UNSTATED_VIEW = "the header does not state whether it is a frontal view"
_TAKEN_FOR = {
    Appearance.MIRRORED: "a mirrored one",
    Appearance.UPSIDE_DOWN: "one that is upside down",
    Appearance.SIDEWAYS: "one that lies on its side",
    Appearance.INVERTED: "one with black and white exchanged",
    Appearance.LATERAL: "a lateral one",
    Appearance.NO_CHEST: "no chest",
}
"""Appearances that prevent reading, in words."""


class ChestImageSelector:
    """Implements the ImageSelector port.

    Args:
        settings: further restrictions.
        reader: reads the pixels for *check*.
        check: recognises the appearance of an image; without it, headers alone decide.
        headers: reads the headers; shared with the identity check.
        listed: AE titles of the configured peers, whose Key Objects can reject images.
    """

    def __init__(
        self,
        settings: SelectionSettings = DEFAULTS,
        reader: PixelReader | None = None,
        check: AppearanceCheck | None = None,
        headers: StudyHeaders | None = None,
        listed: Collection[str] = (),
    ) -> None:
        self._listed = listed
        self._settings = settings
        self._headers = headers or StudyHeaders()
        self._look = None
        if reader is not None and check is not None and settings.view_check != "off":
            self._look = lambda image: check.look(reader.read(image))

    def select(self, instances: Sequence[StoredInstance]) -> Selection:
        """Return the image to read, and each other image with a reason.

        Raises:
            NotEligible: no image may be read; the message is the reason.
            PermanentError: the image to read cannot be decoded.
        """
        unread: list[UnreadImage] = []
        headers: list[tuple[StoredInstance, Dataset]] = []
        rejected = rejections(instances, self._listed)
        for instance, header in zip(instances, self._headers.read(instances), strict=True):
            if is_key_object(instance):
                continue
            if reason := rejected.get(instance.identity.sop_instance_uid):
                unread.append(UnreadImage(instance.identity, f"rejected by a Key Object: {title_of(reason)}"))
            elif isinstance(header, PermanentError):
                unread.append(UnreadImage(instance.identity, str(header)))
            else:
                headers.append((instance, header))
        _check_one_patient([header for _, header in headers])
        candidates: list[_Candidate] = []
        for instance, header in headers:
            try:
                candidates.append(_Candidate(instance, header, self._readable_view(instance, header)))
            except NotEligible as why:
                unread.append(UnreadImage(instance.identity, str(why)))
            except PARSE_ERRORS:
                unread.append(UnreadImage(instance.identity, "the header cannot be parsed"))
        others = sorted(candidates, key=lambda each: each.rank)
        while others:
            chosen = others.pop()
            try:
                image = self._seen(chosen)
            except NotEligible as reason:
                unread.append(UnreadImage(chosen.instance.identity, str(reason)))
                continue
            unread += [UnreadImage(each.instance.identity, _why_passed_over(each, chosen)) for each in others]
            return Selection((image,), tuple(unread))
        raise NotEligible(_summary(unread))

    def _seen(self, candidate: _Candidate) -> SelectedImage:
        """Return the image to read, if the view check does not reject it.

        Raises:
            NotEligible: it does; or the header states no view, and the image is not clearly
                frontal.
            PermanentError: the header states the view, and the image cannot be decoded.
        """
        instance, view = candidate.instance, candidate.view
        image = SelectedImage(instance, view or FRONTAL, is_view_stated=view is not None)
        image = described(image, candidate.header)
        if self._look is None:
            return image
        try:
            sight = self._look(image)
        except PermanentError as error:
            if view is None:
                raise NotEligible(str(error)) from error
            raise
        looks = sight.appearance
        if view is None:
            if looks is not Appearance.FRONTAL:
                taken_for = _TAKEN_FOR.get(looks)
                found = f"takes the image for {taken_for}" if taken_for else "is not sure that it is one"
                raise NotEligible(f"{_UNSTATED_VIEW}, and the view check {found}")
            return image
        if sight.zone is Zone.REFUSED:
            taken_for = _TAKEN_FOR.get(looks, "something else")
            raise NotEligible(
                f"the header says a frontal chest, but the view check takes the image for {taken_for}"
            )
        return replace(image, looks_mirrored=looks is Appearance.MIRRORED)

    def _readable_view(self, instance: StoredInstance, header: Dataset) -> str | None:
        """Return the view of an image that may be read; None if the view check must recognise it.

        Raises:
            NotEligible: it may not be read; the message is the reason.
        """
        _check_kind(instance, header)
        if reason := why_not_chest(header):
            raise NotEligible(reason)
        view = frontal_view(header)
        if view is None and (self._look is None or self._settings.view_check != "read"):
            raise NotEligible(_UNSTATED_VIEW)
        _check_sides(header)
        if self._settings.burned_in_annotation == "skip" and text(header, "BurnedInAnnotation") == "YES":
            raise NotEligible("the header says that there is text in the image")
        age, least = age_in_years(header), self._settings.minimum_age_years
        if age is not None and age < least:
            raise NotEligible(f"the patient is younger than {least} years")
        return view


def _check_kind(instance: StoredInstance, header: Dataset) -> None:
    storage_class = contexts().storage_class(instance.identity.sop_class_uid)
    if storage_class is None:
        known = UID(instance.identity.sop_class_uid)
        raise NotEligible(f"not a radiograph but {known.name if known.is_private is False else 'private'}")
    if not storage_class.drafted:
        raise NotEligible(storage_class.unread_reason)
    if text(header, "NumberOfFrames") not in {"", "1"}:
        raise NotEligible("a multi-frame image")
    is_grey = text(header, "PhotometricInterpretation").startswith("MONOCHROME")
    if text(header, "SamplesPerPixel") != "1" or not is_grey:
        raise NotEligible("a colour image, or one without pixels")


def _check_sides(header: Dataset) -> None:
    """Reject an image of one side, and one that may be mirrored unnoticed."""
    sides = {
        side for side in (text(header, each).upper() for each in ("Laterality", "ImageLaterality")) if side
    }
    if len(sides) > 1:
        raise NotEligible("the header contradicts itself about the laterality")
    if sides & {"L", "R"}:
        raise NotEligible("the header's laterality names one side of a frontal chest image")
    if is_turned(header) and patient_orientation(header) is None:
        raise NotEligible(
            "the image was rotated or flipped, and the header does not state its orientation afterwards"
        )


def _check_one_patient(headers: Sequence[Dataset]) -> None:
    if name := patient_difference_in_words(headers):
        raise NotEligible(f"{name} differs between the images of the study: it may mix two patients")


def _why_passed_over(other: _Candidate, chosen: _Candidate) -> str:
    if other.view is None and chosen.view is not None:
        return _UNSTATED_VIEW
    reasons = ("the PA view", "an original image", "a newer image", "an image without lossy compression")
    for reason, mine, theirs in zip(reasons, other.rank[1:], chosen.rank[1:], strict=False):
        if mine != theirs:
            return f"{reason} of the study was read"
    return "another image taken at the same time was read"


def _summary(unread: Sequence[UnreadImage]) -> str:
    if not unread:
        return "the study has no images"
    if len(unread) == 1:
        return unread[0].reason
    counted = Counter(each.reason for each in unread)
    reasons = (f"{reason} ({count} images)" if count > 1 else reason for reason, count in counted.items())
    return "no image can be read: " + "; ".join(reasons)


def _taken_at(header: Dataset) -> str:
    if moment := re.sub(r"[^0-9]", "", text(header, "AcquisitionDateTime").partition(".")[0])[:14]:
        return moment.ljust(14, "0")
    for date, time in _TIMES:
        day = re.sub(r"[^0-9]", "", text(header, date))
        if len(day) == 8:
            return day + re.sub(r"[^0-9]", "", text(header, time).partition(".")[0])[:6].ljust(6, "0")
    return ""


def _number(header: Dataset) -> int:
    try:
        return int(text(header, "InstanceNumber"))
    except ValueError:
        return 0
