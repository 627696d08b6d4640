"""Teaching a new network to see, before it learns to write.

The findings are read out twice by linear maps that are trained with the network and then thrown away: from
all image tokens, each at its own place, which teaches the vision tower; and from the prompt's last token,
which teaches the language model to gather what the image tokens say. Networks that start from a pretrained
model (Qwen2.5-VL) have no use for this stage.

Shapes: N images, P prompt tokens, T tokens of an image, D width, C values of all kinds of finding together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from echo_node.model.block_mask import block_causal
from echo_node.model.vlm import EchoForReportGeneration
from training.collate import Batch
from training.rad import Loss


class VisionObjective:
    """Cross-entropy of each kind of finding, read from the image's tokens and from the prompt's end."""

    def __init__(self, model: EchoForReportGeneration, tokens: int, values: Sequence[int]) -> None:
        """Prepare the read-outs.

        Args:
            model: the network.
            tokens: T, tokens of an image.
            values: how many values each kind of finding has.
        """
        self._model, self._values = model, list(values)
        width = model.config.text.hidden_size
        self.own = nn.ModuleDict(
            {"image": nn.Linear(tokens * width, sum(values)), "prompt": nn.Linear(width, sum(values))}
        )

    def loss(self, batch: Batch, generator: torch.Generator) -> Loss:
        """Return the sum of the cross-entropies over kinds of finding and both read-outs."""
        prompt = self._model.embed_prompt(batch.prompt_NP, batch.pixel_values, batch.grid_thw)
        positions_P = torch.arange(prompt.length, device=batch.prompt_NP.device)
        mask_PP = block_causal(prompt.length, self._model.config.block_length, positions_P.device)
        hidden_NPD = self._model.hidden_states(prompt.embeds_NPD, prompt.position_ids(positions_P), mask_PP)
        is_image_NP = batch.prompt_NP == self._model.config.image_token_id
        image_ND = prompt.embeds_NPD[is_image_NP].reshape(len(batch.prompt_NP), -1)
        seen, seen_right = self._read("image", image_ND, batch.findings_NF)
        told, told_right = self._read("prompt", hidden_NPD[:, -1], batch.findings_NF)
        return seen + told, {"image_accuracy": seen_right, "prompt_accuracy": told_right}

    def _read(self, place: str, features_ND: Tensor, findings_NF: Tensor) -> tuple[Tensor, float]:
        logits = self.own[place](features_ND).split(self._values, 1)
        losses = [F.cross_entropy(each_NC, findings_NF[:, kind]) for kind, each_NC in enumerate(logits)]
        right = [(each_NC.argmax(1) == findings_NF[:, kind]).float() for kind, each_NC in enumerate(logits)]
        return torch.stack(losses).sum(), float(torch.stack(right).mean())
