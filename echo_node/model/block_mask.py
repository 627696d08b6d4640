"""Who may attend to whom in block diffusion. The one place where the rule stands.

Shapes: Q queries, K keys, L a whole sequence.

Positions count from the prompt's first token on one absolute grid; the block of position i is i // B.
Clean tokens attend block-causally; a noisy block attends to the clean tokens of earlier blocks and to
the whole of itself; clean tokens never attend to noisy ones (ECHO, section on RAD).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def visible(block_Q: Tensor, noisy_Q: Tensor, block_K: Tensor, noisy_K: Tensor) -> Tensor:
    """Return the boolean mask (Q, K): true where the query may attend to the key.

    Args:
        block_Q: block numbers of the queries, integer.
        noisy_Q: true where the query is in the noisy stream.
        block_K: block numbers of the keys.
        noisy_K: true where the key is in the noisy stream.
    """
    same_QK = block_Q[:, None] == block_K[None, :]
    earlier_QK = block_Q[:, None] > block_K[None, :]
    clean_1K = ~noisy_K[None, :]
    from_clean_QK = clean_1K & (same_QK | earlier_QK)
    from_noisy_QK = (clean_1K & earlier_QK) | (~clean_1K & same_QK)
    return torch.where(noisy_Q[:, None], from_noisy_QK, from_clean_QK)


def block_causal(length: int, block_length: int, device: torch.device | None = None) -> Tensor:
    """Return the (L, L) mask of a clean sequence: each block sees itself and all blocks before it."""
    block_L = torch.arange(length, device=device) // block_length
    clean_L = torch.zeros(length, dtype=torch.bool, device=device)
    return visible(block_L, clean_L, block_L, clean_L)


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
    mask_SS: Tensor
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
    block_S = position_S // block_length
    return RadLayout(position_S, noisy_S, visible(block_S, noisy_S, block_S, noisy_S), noisy_start)
