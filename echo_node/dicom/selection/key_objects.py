"""Key Objects that reject images (IHE IOCM): which images of a study a listed peer has rejected.

A Key Object Selection with another title, or from a sender that is not a configured peer, changes
nothing. Source: PS3.3 C.17.6; PS3.16 TID 2010, CID 7010.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from echo_node.codes import code
from echo_node.dicom.header import read_header
from echo_node.dicom.header_values import PARSE_ERRORS, items, text
from echo_node.domain.studies.study import StoredInstance
from echo_node.domain.work.withdrawal import WithdrawalReason
from echo_node.errors import PermanentError

log = structlog.get_logger()

_KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "ConceptNameCodeSequence", "ContentSequence",
    "CurrentRequestedProcedureEvidenceSequence",
)  # fmt: skip
_GRAVEST_FIRST = (
    WithdrawalReason.PATIENT_SAFETY,
    WithdrawalReason.WORKLIST,
    WithdrawalReason.QUALITY,
    WithdrawalReason.RETENTION,
)
_TITLE_SCHEMES = {"DCM", "1.2.840.10008.2.16.4"}
"""Coding scheme of CID 7010, by designator and by UID, in any version."""


def is_key_object(instance: StoredInstance) -> bool:
    """Return whether an instance is a Key Object Selection Document."""
    return instance.identity.sop_class_uid == KeyObjectSelectionDocumentStorage


def rejections(
    instances: Sequence[StoredInstance], listed: Collection[str]
) -> Mapping[str, WithdrawalReason]:
    """Return the SOP Instance UIDs that Key Objects of listed peers reject, with the reason.

    A Key Object that cannot be read rejects nothing, and is logged.

    Args:
        instances: the instances of a study.
        listed: AE titles of the configured peers.
    """
    rejected: dict[str, WithdrawalReason] = {}
    for instance in instances:
        if not is_key_object(instance) or instance.calling_ae_title not in listed:
            continue
        try:
            for uid, reason in _rejected_by(read_header(instance.path, _KEYWORDS)).items():
                rejected[uid] = gravest({reason, rejected.get(uid, reason)})
        except PermanentError as error:
            log.warning("key_object_unreadable", peer=instance.calling_ae_title, reason=str(error))
    return rejected


def gravest(reasons: Iterable[WithdrawalReason]) -> WithdrawalReason:
    """Return the reason to state of several."""
    return min(reasons, key=_GRAVEST_FIRST.index)


def title_of(reason: WithdrawalReason) -> str:
    """Return the document title that states a reason."""
    return code("rejection", reason).meaning


def _rejected_by(note: Dataset) -> dict[str, WithdrawalReason]:
    """Return the SOP Instance UIDs that a note rejects.

    Raises:
        PermanentError: it cannot be parsed, or rejects and names no instance.
    """
    try:
        reason = _rejection(note)
        uids = list(_referenced(note)) if reason else []
    except PARSE_ERRORS as error:
        raise PermanentError("its content cannot be parsed") from error
    if reason and not uids:
        raise PermanentError("it rejects, and names no instance")
    return dict.fromkeys(uids, reason) if reason else {}


def _rejection(note: Dataset) -> WithdrawalReason | None:
    """Return the reason that the document title states; None if it is no title of a rejection."""
    for title in items(note, "ConceptNameCodeSequence"):
        schemes = {text(title, each).upper() for each in ("CodingSchemeDesignator", "CodingSchemeUID")}
        if schemes & _TITLE_SCHEMES:
            value = text(title, "CodeValue")
            return next((each for each in WithdrawalReason if code("rejection", each).value == value), None)
    return None


def _referenced(note: Dataset) -> Iterator[str]:
    """Yield the SOP Instance UIDs that the note names: in its content, or only in its evidence."""
    in_content = list(_in_content(note))
    yield from in_content or _in_evidence(note)


def _in_content(item: Dataset) -> Iterator[str]:
    for content in items(item, "ContentSequence"):
        yield from _sop_instance_uids(content)
        yield from _in_content(content)


def _in_evidence(note: Dataset) -> Iterator[str]:
    for study in items(note, "CurrentRequestedProcedureEvidenceSequence"):
        for series in items(study, "ReferencedSeriesSequence"):
            yield from _sop_instance_uids(series)


def _sop_instance_uids(item: Dataset) -> Iterator[str]:
    for reference in items(item, "ReferencedSOPSequence"):
        if uid := text(reference, "ReferencedSOPInstanceUID"):
            yield uid
