"""The ECHO network: transformers' Qwen2.5-VL, called with block masks and explicit positions.

Shapes: N sequences, P prompt tokens, L tokens of a forward, K keys, D model width, V vocabulary.
No modelling code is copied: the language model takes its attention mask as it is given here.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor
from transformers import (
    AutoModelForImageTextToText,
    GenerationConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLTextModel,
)
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionPatchEmbed

from echo_node.model.block_mask import AttentionMask
from echo_node.model.config import EchoConfig
from echo_node.model.kv_cache import SlotCache

_TAKES_CACHE_AS = (  # transformers 5.24 renamed it
    "cache" if "cache" in inspect.signature(Qwen2_5_VLTextModel.forward).parameters else "past_key_values"
)

_GENERATION: dict[str, Any] = {
    "denoising_steps": 4,
    "confidence_threshold": 0.78,
    "refine": "off",
    "max_new_tokens": 320,
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """Embedded prompts with images in place; shorter ones are filled up behind their end.

    Attributes:
        embeds_NPD: the embedded tokens.
        position_3NP: M-RoPE position ids (time, height, width).
        offset_N: what to add to an absolute position after the prompt to get its position id.
        length_N: how many tokens of each row are prompt.
    """

    embeds_NPD: Tensor
    position_3NP: Tensor
    offset_N: Tensor
    length_N: Tensor

    @property
    def length(self) -> int:
        """P, the tokens of the longest prompt, or the room for them."""
        return self.embeds_NPD.shape[1]

    def row(self, index: int) -> Prompt:
        """Return one prompt alone, without what fills it up."""
        length = int(self.length_N[index])
        one = slice(index, index + 1)
        return Prompt(
            self.embeds_NPD[one, :length],
            self.position_3NP[:, one, :length],
            self.offset_N[one],
            self.length_N[one],
        )

    def in_room(self, length: int) -> Prompt:
        """Return a copy with room for prompts of *length* tokens, so that others can take its place."""
        longer = length - self.length
        return Prompt(
            F.pad(self.embeds_NPD, (0, 0, 0, longer)),
            F.pad(self.position_3NP, (0, longer)),
            self.offset_N.clone(),
            self.length_N.clone(),
        )

    def take(self, other: Prompt) -> None:
        """Put as many prompts, none longer than there is room for, in the place of these."""
        self.embeds_NPD[:, : other.length] = other.embeds_NPD
        self.position_3NP[..., : other.length] = other.position_3NP
        self.offset_N.copy_(other.offset_N)
        self.length_N.copy_(other.length_N)

    def position_ids(self, position_NL: Tensor) -> Tensor:
        """Return the M-RoPE ids (3, N, L) of absolute positions (N, L) or (L,), in the prompt or after it."""
        position_NL = position_NL.expand(len(self.length_N), -1)
        after_NL = position_NL + self.offset_N[:, None]
        place_NL = position_NL.clamp(min=0, max=self.length - 1)
        prompt_3NL = self.position_3NP.gather(2, place_NL.expand(3, -1, -1))
        return torch.where(position_NL < self.length_N[:, None], prompt_3NL, after_NL)


class _PatchProjection(Qwen2_5_VisionPatchEmbed):
    """The same weights and values as one matrix product.

    transformers convolves without overlap, which is the same and which many versions of cuDNN and oneDNN are
    slow at (huggingface/transformers#45750).
    """

    def forward(self, hidden_states: Tensor) -> Tensor:
        weight = self.proj.weight.flatten(1)
        return F.linear(hidden_states.view(-1, weight.shape[1]).to(weight.dtype), weight)


class EchoForReportGeneration(Qwen2_5_VLForConditionalGeneration):  # type: ignore[no-untyped-call]
    """Qwen2.5-VL with a mask token, read out at the position itself (no token shift)."""

    config_class = EchoConfig
    config: EchoConfig

    def __init__(self, config: EchoConfig) -> None:
        super().__init__(config)
        self.model.visual.patch_embed.__class__ = _PatchProjection

    @torch.inference_mode()
    def generate(
        self,
        input_ids: Tensor,
        pixel_values: Tensor,
        image_grid_thw: Tensor,
        generation_config: GenerationConfig | None = None,
        **changes: Any,
    ) -> Tensor:
        """Write reports by block diffusion; return ids (N, longest), filled up with EOS, the prompt left out.

        Args:
            input_ids: prompts of equal length, (N, P).
            pixel_values: patches of all images.
            image_grid_thw: patches of each image along time, height and width.
            generation_config: `denoising_steps` (the most that a block may take; 0: as many as it needs),
                `confidence_threshold`, `refine` (`off`, `mark` or `repair`) and `max_new_tokens`; the
                checkpoint's own by default.
            changes: single values of the same.
        """
        from echo_node.model.decoding.canvas import DecodeSettings
        from echo_node.model.decoding.decoder import decode

        given = {**_GENERATION, **vars(generation_config or self.generation_config), **changes}
        longest = given["max_new_tokens"] or _GENERATION["max_new_tokens"]
        settings = DecodeSettings(
            given["confidence_threshold"], given["denoising_steps"], longest, check=given["refine"]
        )
        decoded = decode(self, self.embed_prompt(input_ids, pixel_values, image_grid_thw), settings)
        end = self.config.end_of_sequence
        rows = [
            torch.tensor([*d.tokens, *[end] * d.ended][:longest], device=input_ids.device) for d in decoded
        ]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=end)

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
            ids_NP: token ids with an image token for each merged patch; a shorter row is filled up with
                any text token.
            pixel_values: patches of all images, (patches, channels * time * size * size); not needed with
                *features*.
            grid_thw: patches of each image along time, height and width, (N, 3).
            length_N: how many tokens of each row are prompt; all of them by default.
            features: what the vision tower makes of the patches, (merged patches, D), if that is known.
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
        """Run the language model under an explicit mask; return the last hidden states (N, L, D).

        Args:
            embeds_NLD: embedded input.
            position_3NL: M-RoPE ids.
            mask_NLK: boolean, true where attention is allowed, (N, L, K) or (L, K) for all sequences alike;
                K = L, or the seen slots of *cache*. A block mask is computed by FlexAttention.
            cache: where keys and values are written and read; `place` was called for this input.
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
            **{_TAKES_CACHE_AS: cache},
        )
        hidden_NLD: Tensor = output.last_hidden_state
        return hidden_NLD

    def new_cache(self, sequences: int, slots: int) -> SlotCache:
        """Return an empty cache of *slots* tokens for each of *sequences*."""
        text = self.config.text
        head_dim = text.hidden_size // text.num_attention_heads
        like = self.lm_head.weight
        return SlotCache(text.num_hidden_layers, sequences, text.num_key_value_heads, slots, head_dim, like)


AutoModelForImageTextToText.register(EchoConfig, EchoForReportGeneration)
