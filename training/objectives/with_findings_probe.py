"""Reading the findings beside any other objective, so that a small network writes of what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from echo_node.model.network import EchoNetwork
from training.examples.collate import Batch
from training.objectives.objective import Metrics, Objective, Part, Share
from training.objectives.probes import MidLayerProbe, probe_loss


class WithFindingsProbe:
    """An objective, and the cross-entropy of the findings as they are read halfway up the language model."""

    def __init__(
        self, objective: Objective, model: EchoNetwork, values: Sequence[int], weight: float
    ) -> None:
        """Add the reading of findings to *objective*.

        Args:
            objective: runs prompts, one a row, through *model*.
            model: the network.
            values: how many values each kind of finding has.
            weight: how much the reading counts.
        """
        self._objective, self._weight = objective, weight
        self._halfway = MidLayerProbe(model, values)
        self.own = nn.ModuleDict({**objective.own, "halfway": self._halfway})

    def shares(self, parts: Sequence[Part]) -> list[Share]:
        """Return the objective's shares with the findings' term."""
        inner = self._objective.shares(parts)
        return [self._with_findings(share, batch) for share, (batch, _) in zip(inner, parts, strict=True)]

    def _with_findings(self, inner: Share, batch: Batch) -> Share:
        def sums() -> tuple[dict[str, Tensor], Metrics]:
            terms, metrics = inner.sums()
            logits = self._halfway(batch.prompt_NP.shape[1])
            found, metrics["halfway_accuracy"] = probe_loss(logits, batch.findings_NF)
            return {**terms, "findings": self._weight * found}, metrics

        return replace(inner, counts={**inner.counts, "findings": float(len(batch.prompt_NP))}, sums=sums)
