"""Queue → infer → report: one claimed study revision becomes one stored draft, in each of its forms.

The heavy part runs between transactions, never inside one; `store` is where it counts, and it refuses
a worker whose claim is over.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from echo_node.domain.draft import Draft
from echo_node.domain.job import DraftJob
from echo_node.domain.ports import (
    Clock,
    DraftLedger,
    ImageSelector,
    PixelReader,
    ReportEncoder,
    ReportGenerator,
)
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
        priors: PriorSearch | None = None,
    ) -> None:
        self._ledger = ledger
        self._selector = selector
        self._reader = reader
        self._generator = generator
        self._encoders = tuple(encoders)
        self._clock = clock
        self._priors = priors

    def __call__(self, job: DraftJob) -> None:
        """Select → read → generate → encode → store; priors are asked for from the first step on.

        Raises:
            NotEligible: the study holds no image to draft from.
            PermanentError: trying again cannot help.
            TransientError: trying again may help.
            LeaseLost: the job was taken away meanwhile.
        """
        with self._ledger.instances(job) as instances:
            selection = self._selector.select(instances)
            if self._ledger.is_drafted(job, selection):
                self._ledger.keep_earlier(job)
                log.info("draft_unchanged", study_id=job.study_id, revision=job.revision)
                return
            priors = self._priors.begin(job, selection) if self._priors else None
            image = self._reader.read(selection.images[0])
            report = self._generator.generate(image)
            comparison = priors() if priors else None
            draft = Draft(
                report, selection, job.study_instance_uid, job.revision, self._clock.now(), comparison
            )
            documents = [
                encoder.encode(draft, self._ledger.predecessor(job, encoder.kind))
                for encoder in self._encoders
            ]
        self._ledger.store(job, documents, selection, report.model)
        log.info(
            "draft_made",
            study_id=job.study_id,
            revision=job.revision,
            seconds=round(report.generation.seconds, 3),
            tokens_per_forward=round(report.generation.tokens_per_forward, 2),
        )
