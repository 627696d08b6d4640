"""The ECHO network: transformers' Qwen2.5-VL, called with block masks and explicit positions.

Shapes: N sequences, P prompt tokens, L tokens of a forward, K keys, D model width, V vocabulary.
No modelling code is copied: the language model takes its attention mask as it is given here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration

from echo_node.model.config import EchoConfig
from echo_node.model.kv_cache import BlockCache


@dataclass(frozen=True, slots=True)
class Prompt:
    """Prompts of equal length, embedded, with images in place.

    Attributes:
        embeds_NPD: the embedded tokens.
        position_3NP: M-RoPE position ids (time, height, width).
        offset_N: what to add to an absolute position after the prompt to get its position id.
    """

    embeds_NPD: Tensor
    position_3NP: Tensor
    offset_N: Tensor

    @property
    def length(self) -> int:
        """P, in tokens."""
        return self.embeds_NPD.shape[1]

    def position_ids(self, position_L: Tensor) -> Tensor:
        """Return the M-RoPE ids (3, N, L) of absolute positions, in the prompt or after it."""
        after_NL = position_L[None, :] + self.offset_N[:, None]
        inside_L = position_L < self.length
        prompt_3NL = self.position_3NP[:, :, position_L.clamp(max=self.length - 1)]
        return torch.where(inside_L, prompt_3NL, after_NL.expand(3, -1, -1))


class EchoForReportGeneration(Qwen2_5_VLForConditionalGeneration):  # type: ignore[no-untyped-call]
    """Qwen2.5-VL with a mask token, read out at the position itself (no token shift)."""

    config_class = EchoConfig
    config: EchoConfig

    def embed_prompt(self, ids_NP: Tensor, pixel_values: Tensor, grid_thw: Tensor) -> Prompt:
        """Embed prompts of equal length, one image each.

        Args:
            ids_NP: token ids with an image token for each merged patch.
            pixel_values: patches of all images, (patches, channels * time * size * size).
            grid_thw: patches of each image along time, height and width, (N, 3).
        """
        embeds_NPD = self.get_input_embeddings()(ids_NP)
        features = torch.cat(tuple(self.get_image_features(pixel_values, grid_thw).pooler_output))
        is_image_NP = ids_NP == self.config.image_token_id
        embeds_NPD = embeds_NPD.masked_scatter(is_image_NP[..., None], features.to(embeds_NPD.dtype))
        position_3NP, delta_N1 = self.model.get_rope_index(
            ids_NP, mm_token_type_ids=is_image_NP.int(), image_grid_thw=grid_thw
        )
        return Prompt(embeds_NPD, position_3NP, delta_N1.reshape(-1))

    def embed_response(self, ids_NL: Tensor) -> Tensor:
        """Return the embeddings (N, L, D) of response tokens."""
        embedded: Tensor = self.get_input_embeddings()(ids_NL)
        return embedded

    def hidden_states(
        self, embeds_NLD: Tensor, position_3NL: Tensor, mask_LK: Tensor, cache: BlockCache | None = None
    ) -> Tensor:
        """Run the language model under an explicit mask; return the last hidden states (N, L, D).

        Args:
            embeds_NLD: embedded input.
            position_3NL: M-RoPE ids.
            mask_LK: boolean, true where attention is allowed; K = committed tokens of *cache* + L.
            cache: keys and values before this input; the caller commits what is to be kept.
        """
        output = self.model.language_model(
            inputs_embeds=embeds_NLD,
            position_ids=position_3NL,
            attention_mask={"full_attention": mask_LK[None, None]},
            past_key_values=cache,
            use_cache=False,
        )
        hidden_NLD: Tensor = output.last_hidden_state
        return hidden_NLD

    def new_cache(self, sequences: int, capacity: int) -> BlockCache:
        """Return an empty cache for *sequences* of at most *capacity* tokens."""
        text = self.config.text
        head_dim = text.hidden_size // text.num_attention_heads
        like = self.lm_head.weight
        return BlockCache(
            text.num_hidden_layers, sequences, text.num_key_value_heads, capacity, head_dim, like
        )
