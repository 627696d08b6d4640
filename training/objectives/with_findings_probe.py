"""Findings probe added to another objective, so that a small network writes about what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from echo_node.model.network import EchoNetwork
from training.examples.collate import Batch
from training.objectives.objective import Metrics, Objective, Part, Share
from training.objectives.probes import MidLayerProbe, probe_loss


class WithFindingsProbe:
    """Objective plus the cross-entropy of a findings probe in the middle of the language model."""

    def __init__(
        self, objective: Objective, model: EchoNetwork, values: Sequence[int], weight: float
    ) -> None:
        """Add a findings probe to *objective*.

        Args:
            objective: objective that runs *model*, with one prompt per row.
            model: network to train.
            values: number of values of each kind of finding.
            weight: weight of the probe's loss.
        """
        self._objective, self._weight = objective, weight
        self._halfway = MidLayerProbe(model, values)
        self.own = nn.ModuleDict({**objective.own, "halfway": self._halfway})

    def shares(self, parts: Sequence[Part]) -> list[Share]:
        """Return the shares of the objective, with the term of the findings."""
        inner = self._objective.shares(parts)
        return [self._with_findings(share, batch) for share, (batch, _) in zip(inner, parts, strict=True)]

    def _with_findings(self, inner: Share, batch: Batch) -> Share:
        def sums() -> tuple[dict[str, Tensor], Metrics]:
            terms, metrics = inner.sums()
            logits = self._halfway(batch.prompt_NP.shape[1])
            found, metrics["halfway_accuracy"] = probe_loss(logits, batch.findings_NF)
            return {**terms, "findings": self._weight * found}, metrics

        return replace(inner, counts={**inner.counts, "findings": float(len(batch.prompt_NP))}, sums=sums)
