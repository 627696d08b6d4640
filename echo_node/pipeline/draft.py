"""Queue → infer → report: one claimed study revision becomes one stored draft, in each of its forms.

A form that cannot be made is named, and can be made later from the same words (pipeline/form.py).

The heavy part runs between transactions, never inside one; `store` is where it counts, and it refuses
a worker whose claim is over.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from echo_node.domain.studies.study import StoredInstance
from echo_node.domain.work.job import DraftJob
from echo_node.domain.work.withdrawal import Conflict
from echo_node.errors import PermanentError
from echo_node.pipeline.priors import PriorSearch

log = structlog.get_logger()


class DraftStage:
    """Drafts one study revision.

    Args:
        ledger: the job's study, and where its draft is kept.
        selector: chooses what to read.
        reader: turns it into grey values.
        generator: writes the report.
        encoders: give it its forms, one of each kind that some destination gets.
        clock: the time.
        watch: sees whether a late image contradicts a draft that stands, which is withdrawn then; None
            withdraws nothing.
        priors: looks for earlier studies meanwhile; None if that is not wanted.
    """

    def __init__(
        self,
        ledger: DraftLedger,
        selector: ImageSelector,
        reader: PixelReader,
        generator: ReportGenerator,
        encoders: Sequence[ReportEncoder],
        clock: Clock,
        watch: ConflictFinder | None = None,
        priors: PriorSearch | None = None,
    ) -> None:
        self._ledger = ledger
        self._selector = selector
        self._reader = reader
        self._generator = generator
        self._encoders = tuple(encoders)
        self._clock = clock
        self._watch = watch
        self._priors = priors

    def __call__(self, job: DraftJob) -> None:
        """Select → read → generate → encode → store; or withdraw what was drafted before.

        Priors are asked for while the model writes.

        Raises:
            NotEligible: the study holds no image to draft from.
            PermanentError: trying again cannot help.
            TransientError: trying again may help.
            LeaseLost: the job was taken away meanwhile.
        """
        with self._ledger.instances(job) as instances:
            if conflict := self._conflict(job, instances):
                self._ledger.withdraw(job, conflict)
                return
            selection = self._selector.select(instances)
            if self._ledger.is_drafted(job, selection):
                self._ledger.keep_earlier(job)
                log.info("draft_unchanged", study_id=job.study_id, revision=job.revision)
                return
            priors = (
                self._priors.begin(job, Subject.of(selection.primary.attributes)) if self._priors else None
            )
            image = self._reader.read(selection.primary)
            report = self._generator.generate(image)
            comparison = priors() if priors else None
            draft = Draft(
                report, selection, job.study_instance_uid, job.revision, self._clock.now(), comparison
            )
            documents, unmade = self._encoded(job, draft)
        self._ledger.store(job, documents, selection, report.model, unmade)
        log.info(
            "draft_made",
            study_id=job.study_id,
            revision=job.revision,
            seconds=round(report.generation.seconds, 3),
            tokens_per_forward=round(report.generation.tokens_per_forward, 2),
        )

    def _encoded(self, job: DraftJob, draft: Draft) -> tuple[list[EncodedDocument], Unmade | None]:
        """Return the draft in every form that it can be given; one that fails costs none of the others.

        Raises:
            PermanentError: there is none that it can be given.
        """
        documents: list[EncodedDocument] = []
        reasons: dict[str, str] = {}
        for encoder in self._encoders:
            try:
                documents.append(encoder.encode(draft, self._ledger.predecessor(job, encoder.kind)))
            except PermanentError as error:
                reasons[encoder.kind] = str(error)
        for kind, reason in reasons.items():
            log.warning("form_failed", study_id=job.study_id, revision=job.revision, kind=kind, reason=reason)
        if reasons and not documents:
            raise PermanentError("; ".join(f"{kind}: {reason}" for kind, reason in reasons.items()))
        return documents, Unmade(draft, reasons) if reasons else None

    def _conflict(self, job: DraftJob, instances: Sequence[StoredInstance]) -> Conflict | None:
        """Return what the images contradict a draft that stands in; None too if none stands."""
        if self._watch is None or job.revision == 1:
            return None
        standing = self._ledger.standing(job)
        return self._watch.find(instances, standing) if standing.documents else None
