"""Who may attend to whom in block diffusion. The one place where the rule stands.

Shapes: Q queries, K keys, L a whole sequence.

Positions count from the prompt's first token on one absolute grid; the block of position i is i // B.
Clean tokens attend block-causally; a noisy block attends to the clean tokens of earlier blocks and to
the whole of itself; clean tokens never attend to noisy ones (ECHO, section on RAD). Examples that are
packed into one row never see each other.
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
        noisy: true in the noisy stream.
        document: which example of a packed row each belongs to, integer; none if there is but one.
    """

    block: Tensor
    noisy: Tensor
    document: Tensor | None = None

    def __getitem__(self, place: Any) -> Elements:
        document = None if self.document is None else self.document[place]
        return Elements(self.block[place], self.noisy[place], document)


AttentionMask = Tensor | BlockMask
_LONG = 1024


def sees(query: Elements, key: Elements) -> Tensor:
    """Tell, element by element and broadcast, whether the query may attend to the key."""
    same, earlier = query.block == key.block, query.block > key.block
    from_clean = ~key.noisy & (same | earlier)
    from_noisy = (~key.noisy & earlier) | (key.noisy & same)
    seen = torch.where(query.noisy, from_noisy, from_clean)
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
    elements = Elements(block_L, torch.zeros(length, dtype=torch.bool, device=device))
    return visible(elements, elements)


@dataclass(frozen=True, slots=True)
class RadLayout:
    """The sequence of Response-Asymmetric Diffusion: the clean stream, then the noisy copy of the response.

    Length S = P + R + (R + P mod B).

    Attributes:
        position_S: absolute position that each element stands at (the noisy copy repeats the clean ones).
        noisy_S: true in the noisy stream.
        mask_SS: who sees whom.
        noisy_start: absolute position of the noisy stream's first element, floor(P / B) * B.
    """

    position_S: Tensor
    noisy_S: Tensor
    mask_SS: AttentionMask
    noisy_start: int


def rad_layout(
    prompt_length: int, response_length: int, block_length: int, device: torch.device | None = None
) -> RadLayout:
    """Lay out a prompt of P tokens and a response of R tokens for RAD.

    Raises:
        ValueError: P + R is not a whole number of blocks (the response is filled up with EOS).
    """
    total = prompt_length + response_length
    if total % block_length:
        raise ValueError("prompt and response together must fill whole blocks")
    noisy_start = prompt_length // block_length * block_length
    position_S = torch.cat(
        [torch.arange(total, device=device), torch.arange(noisy_start, total, device=device)]
    )
    noisy_S = torch.arange(len(position_S), device=device) >= total
    mask_SS = attention_mask(Elements(position_S // block_length, noisy_S))
    return RadLayout(position_S, noisy_S, mask_SS, noisy_start)
