"""The model class that transformers loads: the network with `generate`, registered with AutoModel.

It is built on decoding. In this package, only `checkpoint` imports it.

Shapes: N sequences, P prompt tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, GenerationConfig

from echo_node.model.config import EchoConfig
from echo_node.model.decoding.canvas import DecodeSettings
from echo_node.model.decoding.decoder import decode
from echo_node.model.network import EchoNetwork

_GENERATION: dict[str, Any] = {
    "denoising_steps": 4,
    "confidence_threshold": 0.78,
    "refine": "off",
    "max_new_tokens": 320,
}


class EchoForReportGeneration(EchoNetwork):
    """The network with `generate`, which writes reports by block diffusion."""

    @torch.inference_mode()
    def generate(
        self,
        input_ids: Tensor,
        pixel_values: Tensor,
        image_grid_thw: Tensor,
        generation_config: GenerationConfig | None = None,
        **changes: Any,
    ) -> Tensor:
        """Write reports; return their ids (N, longest) without the prompt, padded with EOS.

        Args:
            input_ids: prompts of equal length, (N, P).
            pixel_values: patches of all images.
            image_grid_thw: number of patches of each image along time, height and width.
            generation_config: `denoising_steps` (maximum number of steps per block; 0: no limit),
                `confidence_threshold`, `refine` (`off`, `mark` or `repair`) and `max_new_tokens`;
                by default, the configuration of the checkpoint.
            changes: single values that replace those of *generation_config*.
        """
        options = {**_GENERATION, **vars(generation_config or self.generation_config), **changes}
        longest = options["max_new_tokens"] or _GENERATION["max_new_tokens"]
        settings = DecodeSettings(
            options["confidence_threshold"], options["denoising_steps"], longest, check=options["refine"]
        )
        decoded = decode(self, self.embed_prompt(input_ids, pixel_values, image_grid_thw), settings)
        end = self.config.end_of_sequence
        rows = [
            torch.tensor([*d.tokens, *[end] * d.ended][:longest], device=input_ids.device) for d in decoded
        ]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=end)


AutoModelForImageTextToText.register(EchoConfig, EchoForReportGeneration)
