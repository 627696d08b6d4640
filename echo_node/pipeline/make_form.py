"""Report, again: make a form that failed before, when its delivery is released.

It is made from the stored draft. The model does not run again, so that all forms say the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from echo_node.domain.drafts.draft import Draft
from echo_node.domain.ports import FormLedger, ImageDescriber, ReportEncoder
from echo_node.domain.studies.attributes import NOT_READ
from echo_node.domain.work.job import DeliveryJob
from echo_node.errors import ConfigError, PermanentError

log = structlog.get_logger()


class FormStage:
    """Makes a delivery's document if it is not made yet.

    Args:
        ledger: source of the draft, and storage of the document.
        encoder_of: returns the encoder of a form; called only if a form must be made.
        describe: reads the attributes that a draft of an earlier program version lacks.
    """

    def __init__(
        self, ledger: FormLedger, encoder_of: Callable[[str], ReportEncoder], describe: ImageDescriber
    ) -> None:
        self._ledger = ledger
        self._encoder_of = encoder_of
        self._describe = describe

    def __call__(self, job: DeliveryJob) -> None:
        """Read → encode → store.

        Raises:
            PermanentError: the form still cannot be made.
            TransientError: a retry may succeed.
        """
        with self._ledger.unmade(job) as form:
            if form is None:
                return
            try:
                document = self._encoder_of(form.kind).encode(self._whole(form.draft), form.predecessor)
            except (PermanentError, ConfigError) as error:
                raise PermanentError(f"{form.kind} could not be made: {error}") from error
        self._ledger.store(job, document)
        log.info("form_made", delivery_id=job.lease.row_id, study_id=job.study_id, kind=form.kind)

    def _whole(self, draft: Draft) -> Draft:
        """Return the draft with its attributes, which earlier program versions did not store."""
        if draft.attributes != NOT_READ:
            return draft
        images = tuple(map(self._describe, draft.selection.images))
        return replace(draft, selection=replace(draft.selection, images=images))
