"""Vision objective: a new vision tower learns to see before the language model learns to write.

A network that starts from a pretrained model (Qwen2.5-VL) does not need this stage.

Shapes: N images, P prompt tokens, T tokens of an image, D width, F kinds of finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from echo_node.model.block_mask import block_causal
from echo_node.model.network import EchoNetwork
from training.examples.collate import Batch
from training.objectives.objective import Metrics, Part, Share
from training.objectives.probes import ImageTokenProbe, MidLayerProbe, probe_loss


class VisionObjective:
    """Cross-entropy of two findings probes: on the image tokens, and in the middle layer."""

    def __init__(self, model: EchoNetwork, tokens: int, values: Sequence[int]) -> None:
        """Create the probes.

        Args:
            model: network to train.
            tokens: number of tokens of an image.
            values: number of values of each kind of finding.
        """
        self._model = model
        self._places = ImageTokenProbe(tokens, model.config.text.hidden_size, values)
        self._halfway = MidLayerProbe(model, values)
        self.own = nn.ModuleDict({"places": self._places, "halfway": self._halfway})

    def shares(self, parts: Sequence[Part]) -> list[Share]:
        """Return the sum of both probes' losses on each part; it uses no noise."""
        return [
            Share(
                {"findings": float(len(batch.prompt_NP))}, batch.prompt_NP.numel(), partial(self._sums, batch)
            )
            for batch, _ in parts
        ]

    def _sums(self, batch: Batch) -> tuple[dict[str, Tensor], Metrics]:
        prompt = batch.embed(self._model)
        positions_P = torch.arange(prompt.length, device=batch.prompt_NP.device)
        mask_PP = block_causal(prompt.length, self._model.config.block_length, positions_P.device)
        self._model.hidden_states(prompt.embeds_NPD, prompt.position_ids(positions_P), mask_PP)
        is_image_NP = batch.prompt_NP == self._model.config.image_token_id
        image_NTD = prompt.embeds_NPD[is_image_NP].reshape(
            len(batch.prompt_NP), -1, prompt.embeds_NPD.shape[2]
        )
        seen, seen_right = probe_loss(self._places(image_NTD), batch.findings_NF)
        found, found_right = probe_loss(self._halfway(prompt.length), batch.findings_NF)
        return {"findings": seen + found}, {"places_accuracy": seen_right, "halfway_accuracy": found_right}
