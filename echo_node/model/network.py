"""The ECHO network: transformers' Qwen2.5-VL, called with block masks and explicit positions.

No modelling code is copied: the language model of transformers uses the attention mask that it is
given. Decoding and training are built on this module; `report_generation` adds `generate` on top of
decoding.

Shapes: N sequences, P prompt tokens, L tokens per forward pass, K keys, D model width.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLTextModel
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionPatchEmbed

from echo_node.model.block_mask import AttentionMask
from echo_node.model.config import EchoConfig
from echo_node.model.kv_cache import SlotCache

_CACHE_ARGUMENT = (  # name of the cache argument; transformers 5.24 renamed it
    "cache" if "cache" in inspect.signature(Qwen2_5_VLTextModel.forward).parameters else "past_key_values"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Embedded prompts with their images in place; shorter prompts are padded at the end.

    Attributes:
        embeds_NPD: embeddings of the tokens.
        position_3NP: M-RoPE position ids (time, height, width).
        offset_N: difference between a position id after the prompt and the absolute position.
        length_N: number of prompt tokens in each row.
    """

    embeds_NPD: Tensor
    position_3NP: Tensor
    offset_N: Tensor
    length_N: Tensor

    @property
    def length(self) -> int:
        """P, the capacity in tokens: the length of the longest prompt, or more."""
        return self.embeds_NPD.shape[1]

    def row(self, index: int) -> Prompt:
        """Return one prompt alone, without its padding."""
        length = int(self.length_N[index])
        one = slice(index, index + 1)
        return Prompt(
            self.embeds_NPD[one, :length],
            self.position_3NP[:, one, :length],
            self.offset_N[one],
            self.length_N[one],
        )

    def padded_to(self, length: int) -> Prompt:
        """Return a copy with a capacity of *length* tokens, for `copy_from`."""
        longer = length - self.length
        return Prompt(
            F.pad(self.embeds_NPD, (0, 0, 0, longer)),
            F.pad(self.position_3NP, (0, longer)),
            self.offset_N.clone(),
            self.length_N.clone(),
        )

    def copy_from(self, other: Prompt) -> None:
        """Overwrite these prompts with the same number of others, none longer than the capacity."""
        self.embeds_NPD[:, : other.length] = other.embeds_NPD
        self.position_3NP[..., : other.length] = other.position_3NP
        self.offset_N.copy_(other.offset_N)
        self.length_N.copy_(other.length_N)

    def position_ids(self, position_NL: Tensor) -> Tensor:
        """Return the M-RoPE ids (3, N, L) of absolute positions (N, L) or (L,).

        A position may be in the prompt or after it.
        """
        position_NL = position_NL.expand(len(self.length_N), -1)
        after_NL = position_NL + self.offset_N[:, None]
        place_NL = position_NL.clamp(min=0, max=self.length - 1)
        prompt_3NL = self.position_3NP.gather(2, place_NL.expand(3, -1, -1))
        return torch.where(position_NL < self.length_N[:, None], prompt_3NL, after_NL)


class _PatchProjection(Qwen2_5_VisionPatchEmbed):
    """Patch embedding as one matrix product, with the same weights and values as in transformers.

    transformers uses a convolution without overlap. That is the same operation, but many versions
    of cuDNN and oneDNN compute it slowly (huggingface/transformers#45750).
    """

    def forward(self, hidden_states: Tensor) -> Tensor:
        weight = self.proj.weight.flatten(1)
        return F.linear(hidden_states.view(-1, weight.shape[1]).to(weight.dtype), weight)


class EchoNetwork(Qwen2_5_VLForConditionalGeneration):
    """Qwen2.5-VL with a mask token; the logits of a token are at its own position (no shift)."""

    config_class = EchoConfig
    config: EchoConfig

    def __init__(self, config: EchoConfig) -> None:
        super().__init__(config)
        self.model.visual.patch_embed.__class__ = _PatchProjection

    def embed_prompt(
        self,
        ids_NP: Tensor,
        pixel_values: Tensor | None,
        grid_thw: Tensor,
        length_N: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Prompt:
        """Embed prompts of one image each.

        Args:
            ids_NP: token ids, with one image token per merged patch; shorter rows may be padded
                with any text token.
            pixel_values: patches of all images, (patches, channels * time * size * size); ignored
                if *features* are given.
            grid_thw: number of patches of each image along time, height and width, (N, 3).
            length_N: number of prompt tokens in each row; by default the whole row.
            features: output of the vision tower for the patches, (merged patches, D), if already
                known.
        """
        embeds_NPD = self.get_input_embeddings()(ids_NP)
        if features is None:
            features = torch.cat(tuple(self.get_image_features(pixel_values, grid_thw).pooler_output))
        is_image_NP = ids_NP == self.config.image_token_id
        embeds_NPD = embeds_NPD.masked_scatter(is_image_NP[..., None], features.to(embeds_NPD.dtype))
        position_3NP, delta_N1 = self.model.get_rope_index(
            ids_NP, mm_token_type_ids=is_image_NP.int(), image_grid_thw=grid_thw
        )
        if length_N is None:
            length_N = torch.full((len(ids_NP),), ids_NP.shape[1], device=ids_NP.device)
        return Prompt(embeds_NPD, position_3NP, delta_N1.reshape(-1), length_N)

    def embed_response(self, ids_NL: Tensor) -> Tensor:
        """Return the embeddings (N, L, D) of response tokens."""
        embedded: Tensor = self.get_input_embeddings()(ids_NL)
        return embedded

    def hidden_states(
        self,
        embeds_NLD: Tensor,
        position_3NL: Tensor,
        mask_NLK: AttentionMask,
        cache: SlotCache | None = None,
    ) -> Tensor:
        """Run the language model with an explicit mask; return the last hidden states (N, L, D).

        Args:
            embeds_NLD: embedded input.
            position_3NL: M-RoPE ids.
            mask_NLK: boolean mask, true where attention is allowed: (N, L, K), or (L, K) for all
                sequences; K = L, or the number of visible slots of *cache*. A `BlockMask` runs on
                FlexAttention.
            cache: key-value cache; call its `place` for this input first.
        """
        kernel = "sdpa" if isinstance(mask_NLK, Tensor) else "flex_attention"
        self.model.language_model.config._attn_implementation = kernel  # noqa: SLF001 - read by each layer
        if isinstance(mask_NLK, Tensor):
            mask_NLK = mask_NLK[:, None] if mask_NLK.ndim == 3 else mask_NLK[None, None]
        output = self.model.language_model(
            inputs_embeds=embeds_NLD,
            position_ids=position_3NL,
            attention_mask={"full_attention": mask_NLK},
            use_cache=False,
            **{_CACHE_ARGUMENT: cache},
        )
        hidden_NLD: Tensor = output.last_hidden_state
        return hidden_NLD

    def new_cache(self, sequences: int, slots: int) -> SlotCache:
        """Return an empty cache with *slots* slots for each of *sequences* sequences."""
        text = self.config.text
        head_dim = text.hidden_size // text.num_attention_heads
        like = self.lm_head.weight
        return SlotCache(text.num_hidden_layers, sequences, text.num_key_value_heads, slots, head_dim, like)
