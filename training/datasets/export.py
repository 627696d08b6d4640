"""What a node has stored, with its reports, as rows without names: the reader behind `echo-node export`.

The image is the one that the node would draft from, chosen and prepared by the same code. Keys of rows are
pseudonyms, so that lists of what was left out name nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from echo_node.dicom.deidentify import Identity, read_identity
from echo_node.dicom.selection.selector import EVERY_CHEST, ChestImageSelector
from echo_node.errors import PermanentError
from echo_node.report_text.report_sections import ReportSections
from echo_node.storage.operations.export import Archive, KeptStudy, StudyChoice
from training.datasets.deidentification.pseudonyms import Pseudonyms
from training.datasets.deidentification.scrub import scrub
from training.datasets.example import Candidate, Found, RejectedRow
from training.datasets.reports import ReportFolder


@dataclass(frozen=True, slots=True)
class Export:
    """One export: which studies, their reports, the names that they get.

    Attributes:
        archive: the node's studies.
        choice: which of them.
        reports: the folder of reports; None takes images alone.
        pseudonyms: by the user's key.
    """

    archive: Archive
    choice: StudyChoice
    reports: ReportFolder | None
    pseudonyms: Pseudonyms

    def read(self) -> Iterator[Found]:
        """Yield one row for each study, and a rejected one for each study of a list that is not here."""
        missing = set(self.choice.study_instance_uids or ())
        for study in self.archive.studies(self.choice):
            missing.discard(study.study_instance_uid)
            key = self.pseudonyms.name("study", study.study_instance_uid)
            try:
                yield self._candidate(key, study)
            except PermanentError as error:
                yield RejectedRow(key, str(error))
        for uid in sorted(missing):
            key = self.pseudonyms.name("study", uid)
            yield RejectedRow(key, "the node has no such complete study among those chosen")

    def _candidate(self, key: str, study: KeptStudy) -> Candidate:
        """Return the row of a study.

        Raises:
            PermanentError: it cannot be exported; the message is the reason.
        """
        chosen = ChestImageSelector(EVERY_CHEST).select(study.instances).primary
        identity = read_identity(chosen.instance.path)
        if identity.burned_in:
            raise PermanentError("the header says that identifying text is burned into the image")
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

    def _sections(self, identity: Identity) -> ReportSections:
        if self.reports is None:
            return ReportSections("", "")
        sections = self.reports.find(identity.study_instance_uid, identity.accession_number)
        if sections is None:
            raise PermanentError("there is no report for the study")
        if not sections.findings and not sections.impression:
            raise PermanentError("the report has no headings of findings or impression")
        return ReportSections(scrub(sections.findings, identity), scrub(sections.impression, identity))
