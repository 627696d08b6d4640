"""Who may attend to whom in block diffusion. The one place where the rule stands.

Shapes: Q queries, K keys, L a whole sequence.

Positions count from the prompt's first token on one absolute grid; the block of position i is i // B.
Every block attends to the clean tokens of earlier blocks and to the whole of itself. So clean tokens attend
block-causally and never to noisy ones, and a noisy copy sees the clean text before it and its own block
(ECHO, section on RAD). Several noisy copies behind one clean text do not see each other, nor do examples that
are packed into one row.
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
    """What the rule asks about the elements of a sequence; tensors of one shape, (L,) or (N, L).

    Attributes:
        block: block numbers, integer.
        stream: 0 in the clean text, the copy's number in a noisy one, integer.
        document: which example of a packed row each belongs to, integer; none if there is but one.
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
    """Tell, element by element and broadcast, whether the query may attend to the key."""
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
    """Return the rule as FlexAttention asks for it: by sequence, head, query and key."""

    def attends(sequence: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        if elements.block.ndim == 1:
            return sees(elements[query], elements[key])
        return sees(elements[sequence, query], elements[sequence, key])

    return attends


def attention_mask(elements: Elements) -> AttentionMask:
    """Return who sees whom in the form that the elements' device computes best.

    A boolean mask for PyTorch's scaled dot-product attention; for long sequences on CUDA a block mask, by
    which FlexAttention passes over what is hidden (compiled once, which short ones do not pay back).
    """
    length = elements.block.shape[-1]
    if elements.block.device.type != "cuda" or length < _LONG:
        return visible(elements, elements)
    sequences = len(elements.block) if elements.block.ndim == 2 else None
    rule, device = mask_mod(elements), str(elements.block.device)
    return create_block_mask(rule, sequences, None, length, length, device=device)


def block_causal(length: int, block_length: int, device: torch.device | None = None) -> Tensor:
    """Return the (L, L) mask of a clean sequence: each block sees itself and all blocks before it."""
    block_L = torch.arange(length, device=device) // block_length
    elements = Elements(block_L, torch.zeros_like(block_L))
    return visible(elements, elements)


@dataclass(frozen=True, slots=True)
class RadLayout:
    """The sequence of Response-Asymmetric Diffusion: the clean text, then noisy copies of the response.

    Its length S is `rad_length`'s.

    Attributes:
        position_S: absolute position that each element stands at (a noisy copy repeats the clean ones).
        stream_S: 0 in the clean text, then the number of the copy.
        mask_SS: who sees whom.
        noisy_start: absolute position of a noisy copy's first element, floor(P / B) * B.
    """

    position_S: Tensor
    stream_S: Tensor
    mask_SS: AttentionMask
    noisy_start: int


def rad_length(prompt_length: int, response_length: int, block_length: int, copies: int = 1) -> int:
    """Return P + R + C * (R + P mod B), the length with C noisy copies; RAD itself has one."""
    of_a_copy = response_length + prompt_length % block_length
    return prompt_length + response_length + copies * of_a_copy


def rad_layout(
    prompt_length: int,
    response_length: int,
    block_length: int,
    device: torch.device | None = None,
    copies: int = 1,
) -> RadLayout:
    """Lay out a prompt of P tokens, a response of R tokens and noisy copies of it for RAD.

    Raises:
        ValueError: P + R is not a whole number of blocks (the response is filled up with EOS).
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
