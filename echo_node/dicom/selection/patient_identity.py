"""Identity check: are the images of a study of one patient, and of the draft's patient and order?

Systems write the same patient in different ways. Only values that cannot be the same count as a
difference. Messages name the attribute that differs, never its value.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from pydicom.dataset import Dataset

from echo_node.dicom.attributes import study_attributes
from echo_node.dicom.header import read_header, text
from echo_node.dicom.selection.headers import StudyHeaders
from echo_node.domain.studies.attributes import text_of
from echo_node.domain.studies.identity import OnConflict
from echo_node.domain.studies.person_name import comparable_group
from echo_node.domain.work.drafting import StudySnapshot
from echo_node.domain.work.withdrawal import IdentityConflict, WithdrawalReason

_IDENTITY = {
    "PatientID": "the patient ID",
    "IssuerOfPatientID": "the issuer of the patient ID",
    "PatientName": "the patient's name",
    "PatientBirthDate": "the patient's birth date",
    "PatientSex": "the patient's sex",
}


def patient_difference(headers: Sequence[Dataset]) -> str | None:
    """Return the name of the first identifying attribute that differs between headers, if any."""
    for keyword, name in _IDENTITY.items():
        if len({value for value in (_comparable(header, keyword) for header in headers) if value}) > 1:
            return name
    return None


class IdentityWatch:
    """Implements the ConflictFinder port.

    Args:
        orders: whether an accession number that the draft does not contain is a conflict too.
        headers: reads the headers; shared with the selector.
        on_conflict: function from a calling AE title to its peer's `on_conflict`.
        is_listed: predicate on a calling AE title: whether it is the title of a configured peer.
    """

    def __init__(
        self,
        *,
        orders: bool = True,
        headers: StudyHeaders | None = None,
        on_conflict: Callable[[str], OnConflict] = lambda _: OnConflict.HOLD,
        is_listed: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._orders = orders
        self._on_conflict = on_conflict
        self._is_listed = is_listed
        self._headers = headers or StudyHeaders()

    def find(self, study: StudySnapshot) -> IdentityConflict | None:
        """Return the contradiction among the images, or with a standing draft; None without one.

        Unreadable images contradict nothing. Orders are compared for late images only: a study may
        have two orders from the beginning.
        """
        instances, standing = study.instances, study.standing
        drafts = [
            read_header(io.BytesIO(document.content)) for document in standing.documents if document.is_dicom
        ]
        images = [
            (instance.identity.sop_instance_uid, header)
            for instance, header in zip(instances, self._headers.read(instances), strict=True)
            if isinstance(header, Dataset)
        ]
        if name := patient_difference([*drafts, *(header for _, header in images)]):
            return IdentityConflict(
                WithdrawalReason.PATIENT_SAFETY,
                f"{name} differs between the study's images, or from the draft's: it may mix two patients",
            )
        if not self._orders:
            return None
        is_late = {uid: uid in standing.late for uid, _ in images}
        known = set(map(_accession_number, drafts))
        known |= {
            number for uid, header in images if not is_late[uid] for number in _accession_numbers(header)
        }
        late = {_accession_number(header) for uid, header in images if is_late[uid]}
        if known - {""} and late - known - {""}:
            return IdentityConflict(
                WithdrawalReason.WORKLIST,
                "a later image names another accession number than the draft: its order was corrected",
            )
        return None


def _comparable(header: Dataset, keyword: str) -> str:
    """Return a value without the variations of systems for the same patient."""
    value = text(header, keyword)
    if keyword == "PatientName":
        return comparable_group(value.partition("=")[0])
    return value.casefold()


def _accession_number(header: Dataset) -> str:
    return text(header, "AccessionNumber").casefold()


def _accession_numbers(header: Dataset) -> set[str]:
    """Return the accession numbers of an image: its own, and those of its requests."""
    ordered = study_attributes(header).requests
    return {_accession_number(header), *(text_of(each, "AccessionNumber").casefold() for each in ordered)}
