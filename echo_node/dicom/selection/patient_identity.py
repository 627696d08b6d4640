"""Identity check: is everything in a study of one patient, and of the draft's patient and orders?

It compares the images with each other, with the standing drafts, and with the objects that were set
aside because their SOP Instance UIDs were known. Messages name the attributes that differ, never
their values.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import chain, combinations

from pydicom.dataset import Dataset

from echo_node.dicom.header import items, read_header, text, values
from echo_node.dicom.selection.headers import StudyHeaders, header_of
from echo_node.dicom.selection.key_objects import gravest, is_key_object, rejections, title_of
from echo_node.dicom.selection.other_content import differing_content
from echo_node.domain.studies.identity import (
    KEYWORDS,
    Identifier,
    OnConflict,
    StatedOrder,
    StatedPatient,
    in_order,
    order_difference,
    patient_difference,
)
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
_IMAGES = "{} between the study's images, or from the draft's: it may mix two patients"
_LATE_IMAGE = "{} between a later image and the draft: the order was corrected"
_SET_ASIDE = "an object with the SOP Instance UID of an image was set aside: {}"
_OF_PATIENT = frozenset(
    {"PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID"}
)
_OF_REQUESTS = ("RequestAttributesSequence", "ReferencedRequestSequence")


def patient_difference_in_words(headers: Iterable[Dataset]) -> str | None:
    """Return the name of the first attribute that contradicts one patient, if any."""
    found = in_order(_among(map(stated_patient, headers)))
    return _in_words(found[:1]) if found else None


def stated_patient(header: Dataset) -> StatedPatient:
    """Return the patient that a header names."""
    other_ids = {
        _identifier(item, "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence")
        for item in items(header, "OtherPatientIDsSequence")
    }
    other_ids |= {Identifier(value) for value in values(header, "OtherPatientIDs")}
    names = [
        text(header, "PatientName"),
        *values(header, "OtherPatientNames"),
        text(header, "PatientBirthName"),
    ]
    return StatedPatient(
        _identifier(header, "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"),
        frozenset(other_ids),
        tuple(filter(None, names)) if names[0] else (),
        text(header, "PatientBirthDate"),
        text(header, "PatientSex"),
    )


def stated_order(header: Dataset) -> StatedOrder:
    """Return the orders that the header of an image or of a draft names."""
    requests = list(chain.from_iterable(items(header, each) for each in _OF_REQUESTS))

    def stated(keyword: str) -> frozenset[str]:
        return frozenset(filter(None, (text(each, keyword) for each in (header, *requests))))

    return StatedOrder(
        _accession_number(header),
        frozenset(map(_accession_number, requests)),
        stated("PlacerOrderNumberImagingServiceRequest"),
        stated("FillerOrderNumberImagingServiceRequest"),
        stated("RequestedProcedureID"),
    )


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
            _Image(instance.identity.sop_instance_uid, stated_patient(header), stated_order(header))
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
        patients = {*map(stated_patient, drafts), *(image.patient for image in images)}
        late = [image.order for image in images if image.uid in study.standing.late]
        earlier = [image.order for image in images if image.uid not in study.standing.late]
        known = StatedOrder.union([*map(stated_order, drafts), *earlier])
        differing = _among(patients)
        if self._orders:
            differing |= frozenset().union(*(order_difference(known, order) for order in late))
        if differing:
            return _conflict(in_order(differing), _IMAGES if differing & _OF_PATIENT else _LATE_IMAGE)
        for other in study.set_aside:
            order = next((image.order for image in images if image.uid == other.kept), known)
            if conflict := self._set_aside(study, other, patients, order):
                return conflict
        return _rejection({rejected[uid] for uid in study.standing.read if uid in rejected})

    def _set_aside(
        self, study: StudySnapshot, other: OtherContent, patients: Set[StatedPatient], order: StatedOrder
    ) -> IdentityConflict | None:
        """Return the contradiction between an object set aside and the one that is kept."""
        policy = self._on_conflict(other.instance.calling_ae_title)
        kept = [each for each in study.instances if each.identity.sop_instance_uid == other.kept]
        if policy is OnConflict.REPLACE or any(map(is_key_object, kept)):
            return None
        try:
            header = header_of(other.instance)
            differing = order_difference(order, stated_order(header))
            differing |= frozenset().union(
                *(patient_difference(stated_patient(header), patient) for patient in patients)
            )
            study_uid = other.instance.identity.study_instance_uid
            if any(each.identity.study_instance_uid != study_uid for each in study.instances):
                differing |= {"StudyInstanceUID"}
            keywords = in_order(differing)
            if not keywords and policy is OnConflict.HOLD and kept:
                keywords = differing_content(kept[0], other.instance)
        except PermanentError:
            return None
        return _conflict(keywords, _SET_ASIDE) if keywords else None


@dataclass(frozen=True, slots=True)
class _Image:
    """An image of the study, with the patient and the orders that it names."""

    uid: str
    patient: StatedPatient
    order: StatedOrder


def _among(patients: Iterable[StatedPatient]) -> frozenset[str]:
    """Return the keywords of the attributes in which any two of the patients differ."""
    return frozenset().union(*(patient_difference(*pair) for pair in combinations(frozenset(patients), 2)))


def _conflict(attributes: tuple[str, ...], explanation: str) -> IdentityConflict:
    if _OF_PATIENT.intersection(attributes):
        reason = WithdrawalReason.PATIENT_SAFETY
    elif set(KEYWORDS).intersection(attributes):
        reason = WithdrawalReason.WORKLIST
    else:
        reason = WithdrawalReason.QUALITY
    verb = "differs" if len(attributes) == 1 else "differ"
    return IdentityConflict(reason, explanation.format(f"{_in_words(attributes)} {verb}"), attributes)


def _rejection(reasons: Set[WithdrawalReason]) -> IdentityConflict | None:
    """Return the withdrawal for reasons of Key Objects that reject images of the draft."""
    if not reasons:
        return None
    reason = gravest(reasons)
    explanation = f"a Key Object rejects an image that the draft was made from: {title_of(reason)}"
    return IdentityConflict(reason, explanation)


def _in_words(keywords: Sequence[str]) -> str:
    names = [_IN_WORDS.get(each, each) for each in keywords]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _accession_number(item: Dataset) -> Identifier:
    return _identifier(item, "AccessionNumber", "", "IssuerOfAccessionNumberSequence")


def _identifier(item: Dataset, value: str, issuer: str, qualifiers: str) -> Identifier:
    """Return an identifier with its issuer, whose qualifiers are items of PS3.3 table 10-17.

    An issuer in the form of HL7 (name, universal ID and type, with & or ^) states both.
    """
    qualified = items(item, qualifiers)
    name, universal_id = [*re.split(r"[&^]", text(item, issuer) if issuer else ""), ""][:2]
    local = [name, *(text(each, "LocalNamespaceEntityID") for each in qualified)]
    universal = [*(text(each, "UniversalEntityID") for each in qualified), universal_id]
    return Identifier(text(item, value), *(next(filter(None, each), "") for each in (local, universal)))
