"""Train with an objective of your own on the training loop: AR with label smoothing.

    python examples/own_objective.py RECIPE.toml OUT

An objective turns the parts of a batch into `Share`s. A share states how much each of its terms
counts, and computes their sums when the loop asks for them. The loss of an update therefore does
not depend on how the batch is divided. The loop takes care of resuming, optimizers, records and the
checkpoint.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from echo_node import EchoForReportGeneration
from training import Batch, Distributed, Metrics, Part, Recipe, Share, Start, run_stage
from training.objectives.ar import causal_hidden_states

SMOOTHING = 0.1


class SmoothedAr:
    """Next-token cross-entropy with label smoothing. Implements the Objective protocol."""

    def __init__(self, model: EchoForReportGeneration) -> None:
        self._model = model
        self.own = nn.ModuleDict()  # it trains the model only

    def shares(self, parts: Sequence[Part]) -> list[Share]:
        """Return the loss of each part, to be computed when the loop asks for it."""
        return [self._share(batch) for batch, _ in parts]  # the noise is not needed here

    def _share(self, batch: Batch) -> Share:
        count = int(batch.trained_NR.sum())

        def sums() -> tuple[dict[str, Tensor], Metrics]:
            hidden_NRD = causal_hidden_states(
                self._model, batch.embed(self._model), batch.response_NR, batch.trained_NR
            )
            logits_MV = self._model.lm_head(hidden_NRD[batch.trained_NR]).float()
            target_M = batch.response_NR[batch.trained_NR]
            loss = F.cross_entropy(logits_MV, target_M, reduction="sum", label_smoothing=SMOOTHING)
            hits = float((logits_MV.argmax(-1) == target_M).sum())
            return {"smoothed": loss}, {"accuracy": (hits, count)}

        return Share({"smoothed": count}, batch.prompt_NP.numel() + batch.response_NR.numel(), sums)


def make_objective(recipe: Recipe, start: Start, distributed: Distributed, folder: Path) -> SmoothedAr:
    """Return the objective of a run; the loop calls this once."""
    del recipe, distributed, folder  # not needed here
    return SmoothedAr(start.model)


if __name__ == "__main__":
    print(run_stage("ar", sys.argv[1], Path(sys.argv[2]), objective_maker=make_objective))
