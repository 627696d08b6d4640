"""Reader of a node's stored studies with their reports, pseudonymised: `echo-node export`.

The image is the one that the node would draft from, selected and prepared by the same code. The
keys of rows are pseudonyms, so that the list of rejected rows names no patient.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from echo_node.dicom.deidentify import PatientIdentity, read_identity
from echo_node.dicom.selection.selector import EVERY_CHEST, ChestImageSelector
from echo_node.domain.studies.study import StoredInstance
from echo_node.errors import PermanentError
from echo_node.report_text.report_sections import ReportSections
from training.datasets.deidentification.pseudonyms import Pseudonyms
from training.datasets.deidentification.scrub import scrub
from training.datasets.example import Candidate, Found, RejectedRow
from training.datasets.reports import ReportFolder


class StoredStudy(Protocol):
    """Complete study of the node, with the instances that it has kept."""

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID."""
        ...

    @property
    def instances(self) -> Sequence[StoredInstance]:
        """Instances in order of arrival."""
        ...


@dataclass(frozen=True, slots=True)
class Export:
    """One export of stored studies.

    Attributes:
        studies: studies to export; the files of each must be readable until the next one is
            requested.
        requested: Study Instance UIDs that the user listed; those that *studies* lacks are
            reported.
        reports: folder of reports; None exports images without reports.
        pseudonyms: pseudonyms under the user's key.
    """

    studies: Iterable[StoredStudy]
    requested: Collection[str]
    reports: ReportFolder | None
    pseudonyms: Pseudonyms

    def read(self) -> Iterator[Found]:
        """Yield one row for each study; a requested study that is missing gives a rejected row."""
        missing = set(self.requested)
        for study in self.studies:
            missing.discard(study.study_instance_uid)
            key = self.pseudonyms.name("study", study.study_instance_uid)
            try:
                yield self._candidate(key, study)
            except PermanentError as error:
                yield RejectedRow(key, str(error))
        for uid in sorted(missing):
            key = self.pseudonyms.name("study", uid)
            yield RejectedRow(
                key, "the node has no complete study with this UID that matches the other options"
            )

    def _candidate(self, key: str, study: StoredStudy) -> Candidate:
        """Return the row of a study.

        Raises:
            PermanentError: the study cannot be exported; the message is the reason.
        """
        chosen = ChestImageSelector(EVERY_CHEST).select(study.instances).primary
        identity = read_identity(chosen.instance.path)
        if identity.burned_in:
            raise PermanentError("the header states that the image contains burned-in text")
        sections = self._sections(identity)
        image_name = self.pseudonyms.name("image", chosen.instance.identity.sop_instance_uid)
        header = identity.kept_header(self.pseudonyms.shift(identity.patient_id))
        return Candidate(
            f"{key} {image_name}",
            chosen.instance.path,
            identity.patient_id,
            study.study_instance_uid,
            sections.findings,
            sections.impression,
            header=json.dumps(header, sort_keys=True),
        )

    def _sections(self, identity: PatientIdentity) -> ReportSections:
        if self.reports is None:
            return ReportSections("", "")
        sections = self.reports.find(identity.study_instance_uid, identity.accession_number)
        if sections is None:
            raise PermanentError("there is no report for the study")
        if not sections.findings and not sections.impression:
            raise PermanentError("the report has no heading of findings or impression")
        return ReportSections(scrub(sections.findings, identity), scrub(sections.impression, identity))
