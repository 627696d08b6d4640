"""Attention masks of block diffusion. Only this module defines the rule of attention.

Positions are absolute and count from the first token of the prompt. Position i is in block i // B.
Every block attends to itself and to the clean tokens of earlier blocks (ECHO, section on RAD).
Clean tokens therefore attend block-causally and never to noisy tokens, and a noisy copy attends to
the earlier clean text and to its own block. Noisy copies do not attend to each other. Neither do
examples that are packed into one row.

Shapes: N sequences, Q queries, K keys, L tokens of a sequence, S elements of a RAD layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask


@dataclass(frozen=True, slots=True)
class Elements:
    """Properties of a sequence's elements that the rule needs: integer tensors, (L,) or (N, L).

    Attributes:
        block: block number.
        stream: 0 for the clean text, or the number of the noisy copy.
        document: number of the example, if several are packed into a row; otherwise None.
    """

    block: Tensor
    stream: Tensor
    document: Tensor | None = None

    def __getitem__(self, place: Any) -> Elements:
        document = None if self.document is None else self.document[place]
        return Elements(self.block[place], self.stream[place], document)


AttentionMask = Tensor | BlockMask
_LONG = 1024


def sees(query: Elements, key: Elements) -> Tensor:
    """Return, element by element with broadcasting, whether the query may attend to the key."""
    is_earlier = (key.stream == 0) & (key.block < query.block)
    is_own = (key.stream == query.stream) & (key.block == query.block)
    seen = is_earlier | is_own
    if query.document is None or key.document is None:
        return seen
    return seen & (query.document == key.document)


def visible(query: Elements, key: Elements) -> Tensor:
    """Return the boolean mask (..., Q, K): true where the query may attend to the key."""
    return sees(query[..., :, None], key[..., None, :])


def mask_mod(elements: Elements) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return the rule as a `mask_mod` for FlexAttention, with its four index arguments."""

    def attends(sequence: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        if elements.block.ndim == 1:
            return sees(elements[query], elements[key])
        return sees(elements[sequence, query], elements[sequence, key])

    return attends


def attention_mask(elements: Elements) -> AttentionMask:
    """Return the attention mask in the form that is fastest on the device of the elements.

    For long sequences on CUDA this is a block mask, with which FlexAttention skips hidden blocks.
    Otherwise it is a boolean mask for PyTorch's scaled dot-product attention, because compiling
    FlexAttention does not pay off for short sequences.
    """
    length = elements.block.shape[-1]
    if elements.block.device.type != "cuda" or length < _LONG:
        return visible(elements, elements)
    sequences = len(elements.block) if elements.block.ndim == 2 else None
    rule, device = mask_mod(elements), str(elements.block.device)
    return create_block_mask(rule, sequences, None, length, length, device=device)


def block_causal(length: int, block_length: int, device: torch.device | None = None) -> Tensor:
    """Return the (L, L) mask of a clean sequence: a block attends to itself and earlier ones."""
    block_L = torch.arange(length, device=device) // block_length
    elements = Elements(block_L, torch.zeros_like(block_L))
    return visible(elements, elements)


@dataclass(frozen=True, slots=True)
class RadLayout:
    """Layout of Response-Asymmetric Diffusion: the clean text, then noisy copies of the response.

    Its length S is given by `rad_length`.

    Attributes:
        position_S: absolute position of each element; a noisy copy repeats the clean positions.
        stream_S: 0 for the clean text, then the number of the copy.
        mask_SS: attention mask.
        noisy_start: absolute position of a noisy copy's first element, floor(P / B) * B.
    """

    position_S: Tensor
    stream_S: Tensor
    mask_SS: AttentionMask
    noisy_start: int


def rad_length(prompt_length: int, response_length: int, block_length: int, copies: int = 1) -> int:
    """Return P + R + C * (R + P mod B): the length with C noisy copies; RAD itself has one."""
    copy_length = response_length + prompt_length % block_length
    return prompt_length + response_length + copies * copy_length


def rad_layout(
    prompt_length: int,
    response_length: int,
    block_length: int,
    device: torch.device | None = None,
    copies: int = 1,
) -> RadLayout:
    """Lay out a prompt of P tokens, a response of R tokens and noisy copies of it for RAD.

    Raises:
        ValueError: P + R is not a whole number of blocks; pad the response with EOS.
    """
    total = prompt_length + response_length
    if total % block_length:
        raise ValueError("prompt and response together must fill whole blocks")
    noisy_start = prompt_length // block_length * block_length
    position_S = torch.cat(
        [
            torch.arange(total, device=device),
            torch.arange(noisy_start, total, device=device).repeat(copies),
        ]
    )
    behind_S = torch.arange(len(position_S), device=device) - total
    stream_S = torch.where(behind_S < 0, 0, behind_S // (total - noisy_start) + 1)
    mask_SS = attention_mask(Elements(position_S // block_length, stream_S))
    return RadLayout(position_S, stream_S, mask_SS, noisy_start)
