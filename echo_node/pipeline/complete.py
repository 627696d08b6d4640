"""Store → queue: the sweep that completes studies which are due."""

from __future__ import annotations

from echo_node.domain.ports import CompletionLedger


class CompletionSweep:
    """Completes due studies. Several processes may sweep at once; each study is completed once."""

    def __init__(self, ledger: CompletionLedger) -> None:
        self._ledger = ledger

    def __call__(self) -> None:
        """Complete what is due; the job is enqueued in the same transaction."""
        self._ledger.complete_due()
