"""Teaching a new vision tower to see, before it has a language to say it in.

A linear read-out of the findings from all image tokens, each at its own place, is trained with the tower
and then thrown away. Models that start from a pretrained tower (Qwen2.5-VL) have no use for this stage.

Shapes: N images, T tokens of an image, D width, F kinds of finding, C values of all kinds together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from echo_node.model.vlm import EchoForReportGeneration
from training.collate import Batch
from training.rad import Loss


class VisionObjective:
    """Cross-entropy of each kind of finding, read linearly from the image's tokens."""

    def __init__(self, model: EchoForReportGeneration, tokens: int, values: Sequence[int]) -> None:
        """Prepare the read-out.

        Args:
            model: the network whose tower is trained.
            tokens: T, tokens of an image.
            values: how many values each kind of finding has.
        """
        self._model, self._values = model, list(values)
        self.own: nn.Module = nn.Linear(tokens * model.config.text.hidden_size, sum(values))

    def loss(self, batch: Batch, generator: torch.Generator) -> Loss:
        """Return the sum of the cross-entropies over the kinds of finding."""
        features = self._model.get_image_features(batch.pixel_values, batch.grid_thw).pooler_output
        logits_NC = self.own(torch.stack(tuple(features)).flatten(1))
        loss, right = torch.zeros(()), 0.0
        for kind, logits in enumerate(logits_NC.split(self._values, 1)):
            loss = loss + F.cross_entropy(logits, batch.findings_NF[:, kind])
            right += float((logits.argmax(1) == batch.findings_NF[:, kind]).float().mean())
        return loss, {"findings_accuracy": right / len(self._values)}
