"""Choice of the image to read: the newest original frontal chest radiograph, PA before AP.

Every other image stays unread, and the draft shows the radiologist why. If no image can be read,
the study is skipped and the operator sees the reasons. Headers decide first. The view check then
looks at the pixels of the best images, until one is clearly frontal. It may reject an image
regardless of its header. An image that shows nothing is not read. No reason contains patient data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from echo_node.dicom.header_values import PARSE_ERRORS, text, whole_number
from echo_node.dicom.lookups import taken_at
from echo_node.dicom.selection.body_part import UNTOLD
from echo_node.dicom.selection.eligibility import UNSTATED_VIEW, Assessment, assess
from echo_node.dicom.selection.headers import StudyHeaders, described
from echo_node.dicom.selection.key_objects import is_key_object, rejections, title_of
from echo_node.dicom.selection.patient_identity import patient_difference_in_words
from echo_node.dicom.selection.rules import FRONTAL, PA
from echo_node.domain.ports import AppearanceCheck, PixelReader
from echo_node.domain.studies.appearance import Appearance, Sight, Zone
from echo_node.domain.studies.study import (
    ImageKind,
    SelectedImage,
    Selection,
    StoredInstance,
    UnreadImage,
)
from echo_node.errors import MustBeHeld, NotEligible, PermanentError
from echo_node.settings import SelectionSettings

_MOST_LOOKED_AT = 8
"""Number of images of a study that the view check looks at, the best by their headers."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An image that may be read by its header."""

    instance: StoredInstance
    header: Dataset
    assessment: Assessment

    @property
    def kind(self) -> ImageKind:
        return self.assessment.kind

    @property
    def rank(self) -> tuple[object, ...]:
        """Key that sorts the image to read first. Of equal images, the earlier instance is read."""
        return (
            not self.kind.companion,
            self.assessment.is_body_part_stated,
            self.kind.view != "",
            self.kind.view == PA,
            text(self.header, "ImageType").upper().startswith("ORIGINAL"),
            taken_at(self.header),
            text(self.header, "LossyImageCompression") != "01",
            -(whole_number(self.header, "InstanceNumber") or 0),
            self.instance.identity.sop_instance_uid,
        )

    def unread(self, reason: str, sight: Sight | None = None) -> UnreadImage:
        """Return the image as one that is not read."""
        return UnreadImage(self.instance.identity, reason, replace(self.kind, sight=sight))


_WHY_BEFORE = (
    "a standard image of the study was read",
    UNTOLD,
    UNSTATED_VIEW,
    "the PA view of the study was read",
    "an original image of the study was read",
    "a newer image of the study was read",
    "an image without lossy compression of the study was read",
)
"""Reasons for an image that another one precedes, in the order of _Candidate.rank."""


EVERY_CHEST = SelectionSettings(minimum_age_years=0, burned_in_annotation="read")
"""Settings that allow every frontal chest image: for data sets, which have their own rules."""

DEFAULTS: SelectionSettings = SelectionSettings()

_TAKEN_FOR = {
    Appearance.MIRRORED: "a mirrored one",
    Appearance.UPSIDE_DOWN: "one that is upside down",
    Appearance.SIDEWAYS: "one that lies on its side",
    Appearance.INVERTED: "one with black and white exchanged",
    Appearance.LATERAL: "a lateral one",
    Appearance.OBLIQUE: "an oblique one",
    Appearance.DECUBITUS: "a decubitus one",
    Appearance.NO_CHEST: "no chest",
}
"""Appearances that prevent reading, in words."""

_NOT_LOOKED_AT = f"the view check looked at the {_MOST_LOOKED_AT} best images of the study only"


class ChestImageSelector:
    """Implements the ImageSelector port.

    Args:
        settings: further restrictions.
        reader: reads the pixels for *check*, and recognises images that show nothing; without it,
            headers alone decide.
        check: recognises the appearance of an image; without it, headers decide.
        headers: reads the headers; shared with the identity check.
        listed: AE titles of the configured peers, whose Key Objects can reject images.
        chest_senders: AE titles of senders whose images all show the chest.
    """

    def __init__(
        self,
        settings: SelectionSettings = DEFAULTS,
        reader: PixelReader | None = None,
        check: AppearanceCheck | None = None,
        headers: StudyHeaders | None = None,
        listed: Collection[str] = (),
        chest_senders: Collection[str] = (),
    ) -> None:
        self._listed = listed
        self._settings = settings
        self._headers = headers or StudyHeaders()
        self._chest_senders = chest_senders
        self._reader = reader
        self._check = check if reader is not None and settings.view_check != "off" else None

    def select(self, instances: Sequence[StoredInstance]) -> Selection:
        """Return the image to read, and each other image with a reason.

        Raises:
            NotEligible: no image may be read; the message is the reason.
            MustBeHeld: the images are of two patients, or an identifying value cannot be written.
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
                candidate = _Candidate(instance, header, self._assessed(instance, header))
            except PARSE_ERRORS:
                unread.append(UnreadImage(instance.identity, "the header cannot be parsed"))
                continue
            if candidate.assessment.refusal:
                unread.append(candidate.unread(candidate.assessment.refusal))
            else:
                candidates.append(candidate)
        ranked = sorted(candidates, key=lambda each: each.rank, reverse=True)
        seen = [*self._seen_in_turn(ranked)]
        readable = [each for each in seen if isinstance(each, SelectedImage)]
        refused = [each for each in seen if isinstance(each, UnreadImage)]
        if not readable:
            left = [each.unread(_NOT_LOOKED_AT) for each in ranked[len(seen) :]]
            raise NotEligible(_summary([*unread, *refused, *left]))
        read = min(readable, key=lambda each: each.looks_doubtful)
        chosen = next(each for each in ranked if each.instance is read.instance)
        sights = {each.instance: each.kind.sight for each in readable}
        unread += refused
        known = {each.identity for each in refused} | {read.instance.identity}
        for other in ranked:
            if other.instance.identity not in known:
                sight = sights.get(other.instance)
                unread.append(other.unread(_why_passed_over(other, chosen, sight), sight))
        return Selection((read,), tuple(unread))

    def _assessed(self, instance: StoredInstance, header: Dataset) -> Assessment:
        is_chest = self._check is not None and instance.calling_ae_title in self._chest_senders
        return assess(
            instance,
            header,
            self._settings,
            body_part_may_be_unstated=is_chest,
            view_may_be_unstated=is_chest
            or (self._check is not None and self._settings.view_check == "read"),
        )

    def _seen_in_turn(self, ranked: Sequence[_Candidate]) -> Iterable[SelectedImage | UnreadImage]:
        """Return the best images as the view check sees them, up to a clearly frontal one.

        A companion image is not looked at if a standard image may be read.

        Raises:
            MustBeHeld: an identifying value of an image cannot be written.
            PermanentError: the first image that may be read cannot be decoded.
        """
        is_any_readable = False
        for candidate in ranked[:_MOST_LOOKED_AT]:
            if is_any_readable and candidate.kind.companion:
                return
            try:
                seen = self._seen(candidate)
            except MustBeHeld:
                raise
            except NotEligible as reason:
                seen = candidate.unread(str(reason))
            except PermanentError as error:
                if candidate.kind.view and not is_any_readable:
                    raise
                seen = candidate.unread(str(error))
            yield seen
            if isinstance(seen, SelectedImage):
                if not seen.looks_doubtful:
                    return
                is_any_readable = True

    def _seen(self, candidate: _Candidate) -> SelectedImage | UnreadImage:
        """Return the image to read, or the reason for which the view check rejects it.

        Raises:
            NotEligible: the image shows nothing.
            PermanentError: the image cannot be decoded.
        """
        view, is_body_part_stated = candidate.kind.view, candidate.assessment.is_body_part_stated
        image = SelectedImage(
            candidate.instance,
            view or FRONTAL,
            is_view_stated=view != "",
            is_body_part_stated=is_body_part_stated,
            kind=replace(candidate.kind, view=view or FRONTAL),
        )
        image = described(image, candidate.header)
        shown = self._reader.read(image) if self._reader else None
        if shown is None or self._check is None:
            return image
        sight = self._check.look(shown)
        looks = sight.appearance
        if not view or not is_body_part_stated:
            if sight.zone is not Zone.READ or (not view and looks is Appearance.MIRRORED):
                taken_for = _TAKEN_FOR.get(looks)
                found = f"takes the image for {taken_for}" if taken_for else "is not sure that it is one"
                unstated = UNTOLD if view else UNSTATED_VIEW
                return candidate.unread(f"{unstated}, and the view check {found}", sight)
        elif sight.zone is Zone.REFUSED:
            taken_for = _TAKEN_FOR.get(looks, "something else")
            return candidate.unread(
                f"the header says a frontal chest, but the view check takes the image for {taken_for}", sight
            )
        return replace(
            image,
            looks_mirrored=looks is Appearance.MIRRORED,
            looks_doubtful=sight.zone is Zone.MARKED,
            kind=replace(image.kind, sight=sight),
        )


def _check_one_patient(headers: Sequence[Dataset]) -> None:
    if name := patient_difference_in_words(headers):
        raise MustBeHeld(f"{name} differs between the images of the study: it may mix two patients")


def _why_passed_over(other: _Candidate, chosen: _Candidate, sight: Sight | None) -> str:
    if other.rank > chosen.rank and sight is not None:
        return "an image of the study that is more clearly frontal was read"
    for reason, mine, theirs in zip(_WHY_BEFORE, other.rank, chosen.rank, strict=False):
        if mine != theirs:
            return reason
    return "another image taken at the same time was read"


def _summary(unread: Sequence[UnreadImage]) -> str:
    if not unread:
        return "the study has no images"
    if len(unread) == 1:
        return unread[0].reason
    counted = Counter(each.reason for each in unread)
    reasons = (f"{reason} ({count} images)" if count > 1 else reason for reason, count in counted.items())
    return "no image can be read: " + "; ".join(reasons)
