"""Search of an archive for the patient's earlier chest radiographs, which are never read.

It queries the studies under the patient's identifier, and then their series, from the newest on,
until one shows the chest. No text of an archive reaches the draft: dates and UIDs are checked, and
the names of views are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from pydicom.dataset import Dataset

from echo_node.dicom.header_values import text
from echo_node.dicom.scu.query import (
    IMAGE,
    SERIES,
    STUDY,
    Ask,
    Deadline,
    FindArchive,
    QidoArchive,
    QueryableArchive,
    identifier,
    probe,
)
from echo_node.dicom.selection.body_part import UNTOLD, why_not_chest
from echo_node.dicom.selection.rules import AP, PA
from echo_node.dicom.selection.view import frontal_view
from echo_node.domain.drafts.comparison import Comparison, PriorStudy
from echo_node.domain.drafts.prior import ArchivedStudy, dates_to_search, is_earlier, why_another_patient
from echo_node.domain.drafts.subject import Subject
from echo_node.domain.identifiers import is_usable_uid
from echo_node.errors import EchoNodeError, NotEligible
from echo_node.settings import Peer, PriorsSettings

_MODALITIES = ("CR", "DX")
_TOLD_OF_A_STUDY = (
    "StudyInstanceUID", "StudyTime", "StudyDescription", "PatientName", "PatientBirthDate", "PatientSex",
    "IssuerOfPatientID",
)  # fmt: skip
_TOLD_OF_A_SERIES = ("SeriesInstanceUID", "Modality", "SeriesDescription", "ProtocolName", "BodyPartExamined")


class ArchivePriors:
    """Implements the PriorFinder port.

    Args:
        asked: the archive.
        name: name of the archive, for a reader.
        within_years: length of the period searched, in years.
        time_limit_s: time limit of all queries together, in seconds.
    """

    def __init__(self, asked: QueryableArchive, name: str, within_years: int, time_limit_s: float) -> None:
        self._asked = asked
        self.archive = name
        self.within_years = within_years
        self._time_limit_s = time_limit_s

    def find(self, subject: Subject, study_instance_uid: str) -> Comparison:
        """Return the newest prior; see the port.

        Raises:
            TransientError: the archive cannot be reached, or does not answer in time.
            PermanentError: the archive refuses the query.
        """
        with self._asked.opened(Deadline(self._time_limit_s)) as ask:
            earlier = self._earlier(ask, subject, study_instance_uid)
            doubts = [(found, why_another_patient(found, subject)) for found, _ in earlier]
            left_out = tuple(doubt for _, doubt in doubts if doubt)
            undescribed = 0
            for (found, answer), (_, doubt) in zip(earlier, doubts, strict=True):
                if doubt:
                    continue
                series = _radiographs(ask, answer)
                reasons = [why_not_chest(each) for each in series]
                chest = [each for each, reason in zip(series, reasons, strict=True) if reason is None]
                if chest:
                    prior = PriorStudy(found.study_instance_uid, found.study_date, _views(ask, chest))
                    return Comparison(self.archive, self.within_years, prior, undescribed, left_out)
                undescribed += UNTOLD in reasons
        return Comparison(self.archive, self.within_years, None, undescribed, left_out)

    def probe(self) -> None:
        """Check whether the archive answers.

        Raises:
            TransientError: it does not answer.
            PermanentError: it refuses the query.
        """
        probe(self._asked, self._time_limit_s)

    def _earlier(
        self, ask: Ask, subject: Subject, study_instance_uid: str
    ) -> list[tuple[ArchivedStudy, Dataset]]:
        """Return earlier radiographs under the patient's identifier, the newest first."""
        first, last = dates_to_search(subject, self.within_years)
        found: dict[str, tuple[ArchivedStudy, Dataset]] = {}
        for modality in _MODALITIES:  # only UIDs can be matched by a list (PS3.4 C.2.2.2)
            question = identifier(
                STUDY,
                PatientID=subject.patient_id,
                StudyDate=f"{first}-{last}",
                ModalitiesInStudy=modality,
                **dict.fromkeys(_TOLD_OF_A_STUDY, ""),
            )
            if not subject.patient_name.isascii():
                question.SpecificCharacterSet = "ISO_IR 192"  # so that the name is returned unchanged
            for answer in ask(question):
                study = _described(answer)
                if (
                    is_usable_uid(study.study_instance_uid)
                    and study.study_instance_uid != study_instance_uid
                    and study.patient_id == subject.patient_id
                    and is_earlier(study, subject, self.within_years)
                ):
                    found[study.study_instance_uid] = study, answer
        return sorted(found.values(), key=lambda each: each[0].moment, reverse=True)


def prior_finder(
    settings: PriorsSettings, peers: Mapping[str, Peer], calling_ae_title: str
) -> ArchivePriors | None:
    """Return the search that the settings configure; None if it is turned off."""
    asked: QueryableArchive
    if settings.qido_url:
        name = urlsplit(settings.qido_url).hostname or settings.qido_url
        asked = QidoArchive(settings.qido_url, settings.qido_token, name)
    elif settings.peer:
        name = peers[settings.peer].ae_title
        asked = FindArchive(peers[settings.peer], calling_ae_title)
    else:
        return None
    return ArchivePriors(asked, name, settings.within_years, settings.time_limit_s)


def _described(answer: Dataset) -> ArchivedStudy:
    return ArchivedStudy(
        study_instance_uid=text(answer, "StudyInstanceUID"),
        patient_id=text(answer, "PatientID"),
        issuer_of_patient_id=text(answer, "IssuerOfPatientID"),
        patient_name=text(answer, "PatientName"),
        birth_date=text(answer, "PatientBirthDate"),
        sex=text(answer, "PatientSex"),
        study_date=text(answer, "StudyDate"),
        study_time=text(answer, "StudyTime"),
    )


def _radiographs(ask: Ask, study: Dataset) -> list[Dataset]:
    """Return the attributes of each radiographic series of a study, with those of the study."""
    question = identifier(
        SERIES, StudyInstanceUID=text(study, "StudyInstanceUID"), **dict.fromkeys(_TOLD_OF_A_SERIES, "")
    )
    return [_joined(study, each) for each in ask(question) if text(each, "Modality") in _MODALITIES]


def _views(ask: Ask, series: Iterable[Dataset]) -> tuple[str, ...]:
    """Return the frontal views that the archive states for these series, PA before AP."""
    views = {view for each in series for header in _images(ask, each) if (view := _view(header))}
    return tuple(view for view in (PA, AP) if view in views)


def _images(ask: Ask, series: Dataset) -> list[Dataset]:
    """Return the attributes of each image of a series, or of the series if it has none."""
    uids = {each: text(series, each) for each in ("StudyInstanceUID", "SeriesInstanceUID")}
    if not all(map(is_usable_uid, uids.values())):
        return [series]
    try:
        answers = ask(identifier(IMAGE, **uids, SOPInstanceUID="", ViewPosition=""))
    except EchoNodeError:  # a prior without its view is better than no prior
        return [series]
    return [_joined(series, each) for each in answers] or [series]


def _view(header: Dataset) -> str:
    try:
        return frontal_view(header) or ""
    except NotEligible:
        return ""


def _joined(above: Dataset, below: Dataset) -> Dataset:
    joined = Dataset()
    joined.update(above)
    joined.update(below)
    return joined
