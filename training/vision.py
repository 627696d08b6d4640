"""Teaching a new network's vision tower to see, before a language model learns to write from it.

Networks that start from a pretrained model (Qwen2.5-VL) have no use for this stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from echo_node.model.block_mask import block_causal
from echo_node.model.vlm import EchoForReportGeneration
from training.collate import Batch
from training.rad import Loss
from training.readout import HalfwayReadOut, PlacesReadOut, reading_loss


class VisionObjective:
    """Cross-entropy of the findings, read from the image's tokens and halfway up the language model."""

    def __init__(self, model: EchoForReportGeneration, tokens: int, values: Sequence[int]) -> None:
        """Prepare the read-outs.

        Args:
            model: the network.
            tokens: tokens of an image.
            values: how many values each kind of finding has.
        """
        self._model = model
        self._places = PlacesReadOut(tokens, model.config.text.hidden_size, values)
        self._halfway = HalfwayReadOut(model, values)
        self.own = nn.ModuleDict({"places": self._places, "halfway": self._halfway})

    def loss(self, batch: Batch, generator: torch.Generator) -> Loss:
        """Return the sum of both read-outs' losses."""
        prompt = self._model.embed_prompt(batch.prompt_NP, batch.pixel_values, batch.grid_thw)
        positions_P = torch.arange(prompt.length, device=batch.prompt_NP.device)
        mask_PP = block_causal(prompt.length, self._model.config.block_length, positions_P.device)
        self._model.hidden_states(prompt.embeds_NPD, prompt.position_ids(positions_P), mask_PP)
        is_image_NP = batch.prompt_NP == self._model.config.image_token_id
        image_NTD = prompt.embeds_NPD[is_image_NP].reshape(
            len(batch.prompt_NP), -1, prompt.embeds_NPD.shape[2]
        )
        seen, seen_right = reading_loss(self._places(image_NTD), batch.findings_NF)
        found, found_right = reading_loss(self._halfway(prompt.length), batch.findings_NF)
        return seen + found, {"places_accuracy": seen_right, "halfway_accuracy": found_right}
