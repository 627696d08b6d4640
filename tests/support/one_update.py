"""An objective's loss and metrics on one batch, as the loop would put them together."""

from torch import Tensor

from training.examples.collate import Batch
from training.objectives.noise import Noise
from training.objectives.objective import Objective, total


def loss_and_metrics(
    objective: Objective, batch: Batch, noise: Noise | None = None
) -> tuple[Tensor, dict[str, float]]:
    (share,) = objective.shares([(batch, noise or Noise(0))])
    sums, metrics = share.sums()
    averages = {name: above / max(1.0, below) for name, (above, below) in metrics.items()}
    return total(sums, share.counts), averages
