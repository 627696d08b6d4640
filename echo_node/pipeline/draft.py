"""Queue → infer → report: one claimed study revision becomes one stored draft, in all its forms.

A form that cannot be made is recorded. It can be made later, in the same words
(pipeline/make_form.py).

The job reads everything it needs in one transaction and stores its outcome in another. The model
runs between the two, never inside one. If the claim is lost by then, the ledger refuses the
outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from echo_node.domain.drafts.draft import Draft, Unmade
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.drafts.subject import Subject
from echo_node.domain.ports import (
    Clock,
    ConflictFinder,
    DraftLedger,
    ImageSelector,
    PixelReader,
    ReportEncoder,
    ReportGenerator,
)
from echo_node.domain.studies.study import Selection
from echo_node.domain.work.drafting import NewDraft, Unchanged
from echo_node.domain.work.job import DraftJob
from echo_node.domain.work.withdrawal import IdentityConflict, WithdrawalReason
from echo_node.errors import MustBeHeld, PermanentError
from echo_node.pipeline.priors import PriorSearch

log = structlog.get_logger()


class DraftStage:
    """Drafts one study revision.

    Args:
        ledger: state of the job's study, and storage of the outcome.
        selector: chooses the image to read.
        reader: reads the pixels of the image.
        generator: writes the report.
        encoders: encoders of the draft's forms, one for each kind that some destination gets.
        clock: source of time.
        identity_check: finds what contradicts the study's patient or order, so that the study is
            held; None turns the check off.
        priors: searches for earlier studies while the model writes; None turns the search off.
    """

    def __init__(
        self,
        ledger: DraftLedger,
        selector: ImageSelector,
        reader: PixelReader,
        generator: ReportGenerator,
        encoders: Sequence[ReportEncoder],
        clock: Clock,
        identity_check: ConflictFinder | None = None,
        priors: PriorSearch | None = None,
    ) -> None:
        self._ledger = ledger
        self._selector = selector
        self._reader = reader
        self._generator = generator
        self._encoders = tuple(encoders)
        self._clock = clock
        self._identity_check = identity_check
        self._priors = priors

    def __call__(self, job: DraftJob) -> None:
        """Select → read → generate → encode → store; or hold the study, without any draft.

        Raises:
            NotEligible: no image of the study may be read.
            PermanentError: a retry cannot succeed.
            TransientError: a retry may succeed.
            LeaseLost: another worker holds the job by now, or a new image began the next revision.
        """
        try:
            self._draft(job)
        except MustBeHeld as held:
            conflict = IdentityConflict(WithdrawalReason.PATIENT_SAFETY, str(held), held.attributes)
            self._ledger.finish(job, conflict)

    def _draft(self, job: DraftJob) -> None:
        with self._ledger.open(job) as study:
            if self._identity_check is not None and (conflict := self._identity_check.find(study)):
                self._ledger.finish(job, conflict)
                return
            if study.drafted_selection is not None and not study.instances:
                self._ledger.finish(job, Unchanged())  # retention removed the images; the draft stands
                return
            selection = self._selector.select(study.instances)
            if selection.digest == study.drafted_selection:
                self._ledger.finish(job, Unchanged())
                log.info("draft_unchanged", study_id=job.study_id, revision=job.revision)
                return
            if ignored := selection.primary.attributes.ignored:
                log.warning(
                    "header_values_ignored",
                    study_id=job.study_id,
                    revision=job.revision,
                    attributes=list(ignored),
                )
            draft = self._drafted(job, selection)
            documents, unmade = self._encoded(job, draft, study.predecessors)
        self._log_remarks(job, draft.selection)
        report = draft.report
        self._ledger.finish(job, NewDraft(documents, draft.selection, report.model, unmade))
        log.info(
            "draft_made",
            study_id=job.study_id,
            revision=job.revision,
            seconds=round(report.generation.seconds, 3),
            tokens_per_forward=round(report.generation.tokens_per_forward, 2),
        )
        self._report_doubts(job, report.doubts)

    @staticmethod
    def _report_doubts(job: DraftJob, doubts: Sequence[str]) -> None:
        """Log that sentences may be garbled. The event has the reasons, never the sentences."""
        if doubts:
            log.warning(
                "sentences_doubtful",
                study_id=job.study_id,
                revision=job.revision,
                count=len(doubts),
                reason="; ".join(sorted(set(doubts))),
            )

    def _log_remarks(self, job: DraftJob, selection: Selection) -> None:
        for image in selection.images:
            for remark in image.header_remarks:
                peer = image.instance.calling_ae_title
                log.warning("header_remarked", study_id=job.study_id, peer=peer, reason=str(remark))

    def _drafted(self, job: DraftJob, selection: Selection) -> Draft:
        """Return a draft of the image. The archive is queried while the model writes."""
        priors = self._priors.begin(job, Subject.of(selection.primary.attributes)) if self._priors else None
        image = self._reader.read(selection.primary)
        report = self._generator.generate(image)
        comparison = priors() if priors else None
        read, now = selection.displayed(image), self._clock.now()
        return Draft(report, read, job.study_instance_uid, job.revision, now, comparison)

    def _encoded(
        self, job: DraftJob, draft: Draft, predecessors: Mapping[str, EncodedDocument]
    ) -> tuple[list[EncodedDocument], Unmade | None]:
        """Return the draft in every form that can be made; a failure does not stop the others.

        Raises:
            MustBeHeld: an identifying value cannot be written.
            PermanentError: no form can be made.
        """
        documents: list[EncodedDocument] = []
        reasons: dict[str, str] = {}
        for encoder in self._encoders:
            try:
                documents.append(encoder.encode(draft, predecessors.get(encoder.kind)))
            except MustBeHeld:
                raise
            except PermanentError as error:
                reasons[encoder.kind] = str(error)
        for kind, reason in reasons.items():
            log.warning("form_failed", study_id=job.study_id, revision=job.revision, kind=kind, reason=reason)
        if reasons and not documents:
            raise PermanentError("; ".join(f"{kind}: {reason}" for kind, reason in reasons.items()))
        return documents, Unmade(draft, reasons) if reasons else None
