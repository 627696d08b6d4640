"""Report, once more: a form that could not be made with the others is made when its delivery is released.

Always from the draft as it was kept: the model is not asked again, so that all forms say the same.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from echo_node.domain.ports import FormLedger, ReportEncoder
from echo_node.domain.work.job import DeliveryJob
from echo_node.errors import ConfigError, PermanentError

log = structlog.get_logger()


class FormStage:
    """Makes a delivery's document, if that is not made yet.

    Args:
        ledger: what it is made from, and where it is kept.
        encoder_of: what gives a draft a form; asked only where one is to be made.
    """

    def __init__(self, ledger: FormLedger, encoder_of: Callable[[str], ReportEncoder]) -> None:
        self._ledger = ledger
        self._encoder_of = encoder_of

    def __call__(self, job: DeliveryJob) -> None:
        """Read → encode → store.

        Raises:
            PermanentError: the form cannot be made, still.
            TransientError: trying again may help.
        """
        with self._ledger.unmade(job) as form:
            if form is None:
                return
            try:
                document = self._encoder_of(form.kind).encode(form.draft, form.predecessor)
            except (PermanentError, ConfigError) as error:
                raise PermanentError(f"{form.kind} could not be made: {error}") from error
        self._ledger.store(job, document)
        log.info("form_made", delivery_id=job.lease.row_id, study_id=job.study_id, kind=form.kind)
