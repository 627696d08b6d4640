"""Identity check: is everything in a study of one patient, and of the draft's patient and orders?

It compares the images with each other, with the standing drafts, and with the objects that were set
aside because their SOP Instance UIDs were known. Messages name the attributes that differ, never
their values.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, combinations

from pydicom.dataset import Dataset

from echo_node.dicom.header import read_header
from echo_node.dicom.selection.headers import StudyHeaders
from echo_node.dicom.selection.key_objects import gravest, is_key_object, rejections, title_of
from echo_node.dicom.selection.other_content import differing_content
from echo_node.dicom.selection.stated_identity import stated_order, stated_patient
from echo_node.domain.studies.identity import (
    KEYWORDS,
    OnConflict,
    StatedOrder,
    StatedPatient,
    in_order,
    order_difference,
    patient_difference,
)
from echo_node.domain.studies.study import StoredInstance
from echo_node.domain.work.drafting import OtherContent, StudySnapshot
from echo_node.domain.work.withdrawal import IdentityConflict, WithdrawalReason
from echo_node.errors import PermanentError

_IN_WORDS = {
    "PatientID": "the patient ID",
    "IssuerOfPatientID": "the issuer of the patient ID",
    "PatientName": "the patient's name",
    "PatientBirthDate": "the patient's birth date",
    "PatientSex": "the patient's sex",
    "AccessionNumber": "the accession number",
    "IssuerOfAccessionNumberSequence": "the issuer of the accession number",
    "PlacerOrderNumberImagingServiceRequest": "the placer's order number",
    "FillerOrderNumberImagingServiceRequest": "the filler's order number",
    "RequestedProcedureID": "the requested procedure",
    "StudyInstanceUID": "the study",
}
_OF_PATIENT = frozenset(
    {"PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID"}
)


def patient_difference_in_words(headers: Iterable[Dataset]) -> str | None:
    """Return the name of the first attribute that contradicts one patient, if any."""
    patients = frozenset(map(stated_patient, headers))
    found = in_order(chain.from_iterable(patient_difference(*pair) for pair in combinations(patients, 2)))
    return _in_words(found[:1]) if found else None


class IdentityWatch:
    """Implements the ConflictFinder port.

    Args:
        orders: whether another order than the draft's in a late image is a contradiction too.
        headers: reads the headers; shared with the selector.
        on_conflict: function from a calling AE title to its peer's `on_conflict`.
        listed: AE titles of the configured peers, whose Key Objects can reject images.
    """

    def __init__(
        self,
        *,
        orders: bool = True,
        headers: StudyHeaders | None = None,
        on_conflict: Callable[[str], OnConflict] = lambda _: OnConflict.HOLD,
        listed: Collection[str] = (),
    ) -> None:
        self._orders = orders
        self._headers = headers or StudyHeaders()
        self._on_conflict = on_conflict
        self._listed = listed

    def find(self, study: StudySnapshot) -> IdentityConflict | None:
        """Return the contradiction that forbids a draft of the study; None without one.

        Unreadable objects contradict nothing, nor does what Key Objects say about the patient, nor
        an image that one of them rejects.
        """
        rejected = rejections(study.instances, self._listed)
        images = [
            _Object.of(instance, header)
            for instance, header in zip(study.instances, self._headers.read(study.instances), strict=True)
            if isinstance(header, Dataset)
            and not is_key_object(instance)
            and instance.identity.sop_instance_uid not in rejected
        ]
        drafts = [
            read_header(io.BytesIO(document.content))
            for document in study.standing.documents
            if document.is_dicom
        ]
        compared = self._among_images(images, drafts, study.standing.late)
        compared += self._set_aside(study, images, drafts)
        if contradictions := [each for each in compared if each.keywords]:
            return _conflict(contradictions, images)
        return _rejection(study, rejected)

    def _among_images(
        self, images: Sequence[_Object], drafts: Sequence[Dataset], late: Set[str]
    ) -> list[_Compared]:
        """Compare each image with the drafts, and with the images before it that agree.

        Orders are compared for late images only: a study may have two from its beginning.
        """
        patients = [stated_patient(draft) for draft in drafts]
        known = StatedOrder.union(
            [*map(stated_order, drafts), *(image.order for image in images if image.uid not in late)]
        )
        compared = []
        for image in images:
            keywords = _differing(image.patient, patients)
            if self._orders and image.uid in late:
                keywords |= order_difference(known, image.order)
            if not keywords:
                patients.append(image.patient)
            compared.append(_Compared(image, in_order(keywords)))
        return compared

    def _set_aside(
        self, study: StudySnapshot, images: Sequence[_Object], drafts: Sequence[Dataset]
    ) -> list[_Compared]:
        """Compare each object that was set aside with the drafts, the images, and the one kept."""
        patients = [*map(stated_patient, drafts), *(image.patient for image in images)]
        every_order = StatedOrder.union([*map(stated_order, drafts), *(image.order for image in images)])
        orders = {image.uid: image.order for image in images}
        kept = {instance.identity.sop_instance_uid: instance for instance in study.instances}
        studies = {instance.identity.study_instance_uid for instance in study.instances}
        compared = []
        for other in study.set_aside:
            first = kept.get(other.kept)
            if first is not None and is_key_object(first):
                continue
            try:
                newer = _Object.of(other.instance, self._headers.of(other.instance))
                keywords = _differing(newer.patient, patients)
                keywords |= order_difference(orders.get(other.kept, every_order), newer.order)
                if studies and other.instance.identity.study_instance_uid not in studies:
                    keywords |= {"StudyInstanceUID"}
                differing = in_order(keywords)
                if not differing and first is not None and self._holds(other):
                    differing = differing_content(first, other.instance)
            except PermanentError:
                continue
            compared.append(_Compared(newer, differing, is_set_aside=True))
        return compared

    def _holds(self, other: OtherContent) -> bool:
        """Return whether other content matters even if patient and order agree."""
        return self._on_conflict(other.instance.calling_ae_title) is not OnConflict.KEEP


@dataclass(frozen=True, slots=True)
class _Object:
    """An object of the study, with the patient and the orders that it states."""

    instance: StoredInstance
    patient: StatedPatient
    order: StatedOrder

    @classmethod
    def of(cls, instance: StoredInstance, header: Dataset) -> _Object:
        return cls(instance, stated_patient(header), stated_order(header))

    @property
    def uid(self) -> str:
        return self.instance.identity.sop_instance_uid

    def contradicts(self, other: _Object) -> bool:
        """Return whether only one of both can belong to a study."""
        return (
            self.uid == other.uid
            or bool(patient_difference(self.patient, other.patient))
            or bool(order_difference(self.order, other.order))
        )


@dataclass(frozen=True, slots=True)
class _Compared:
    """An object, and the keywords of the attributes in which it contradicts earlier ones."""

    object: _Object
    keywords: tuple[str, ...]
    is_set_aside: bool = False


def _differing(patient: StatedPatient, others: Iterable[StatedPatient]) -> frozenset[str]:
    return frozenset().union(*(patient_difference(patient, other) for other in frozenset(others)))


def _conflict(contradictions: Sequence[_Compared], images: Sequence[_Object]) -> IdentityConflict:
    """Return the conflict of all contradictions, with the objects that each decision excludes."""
    stated = dict.fromkeys(chain.from_iterable(each.keywords for each in contradictions))
    attributes = (*in_order(stated), *(each for each in stated if each not in KEYWORDS))
    differs = f"{_in_words(attributes)} {'differs' if len(attributes) == 1 else 'differ'}"
    if _OF_PATIENT.intersection(attributes):
        reason = WithdrawalReason.PATIENT_SAFETY
    elif in_order(attributes):
        reason = WithdrawalReason.WORKLIST
    else:
        reason = WithdrawalReason.QUALITY
    if all(each.is_set_aside for each in contradictions):
        explanation = f"an object with the SOP Instance UID of an image was set aside: {differs}"
    elif reason is WithdrawalReason.PATIENT_SAFETY:
        explanation = f"{differs} between the study's images, or from the draft's: it may mix two patients"
    else:
        explanation = f"{differs} between a later image and the draft: the order was corrected"
    newest = contradictions[-1].object
    others = (*images, *(each.object for each in contradictions if each.is_set_aside))
    return IdentityConflict(
        reason,
        explanation,
        attributes,
        newer=tuple(each.object.instance.data_set_sha256 for each in contradictions),
        older=tuple(
            each.instance.data_set_sha256
            for each in others
            if each is not newest and each.contradicts(newest)
        ),
    )


def _rejection(study: StudySnapshot, rejected: Mapping[str, WithdrawalReason]) -> IdentityConflict | None:
    """Return the conflict of Key Objects with the draft that was made from what they reject."""
    reasons = {rejected[uid] for uid in study.standing.read if uid in rejected}
    if not reasons:
        return None
    reason = gravest(reasons)
    return IdentityConflict(
        reason,
        f"a Key Object rejects an image that the draft was made from: {title_of(reason)}",
        newer=tuple(each.data_set_sha256 for each in study.instances if is_key_object(each)),
        older=tuple(
            each.data_set_sha256 for each in study.instances if each.identity.sop_instance_uid in rejected
        ),
    )


def _in_words(keywords: Sequence[str]) -> str:
    names = [_IN_WORDS.get(each, each) for each in keywords]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
