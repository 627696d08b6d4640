"""Half-masked copies of a block: they give the probability of each token given the other half.

Shapes: N sequences, X tokens of whole blocks, A = 2 copies, D model width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

COPIES = 2


def half_masked(column_NX: Tensor, token_NX: Tensor, mask: int) -> Tensor:
    """Return two copies (N, A, X) of tokens: one masks the even columns, the other the odd ones."""
    is_odd_NX = column_NX % 2 == 1
    return torch.stack([token_NX.masked_fill(~is_odd_NX, mask), token_NX.masked_fill(is_odd_NX, mask)], 1)


def where_masked(column_NX: Tensor, hidden_NAXD: Tensor) -> Tensor:
    """Return the hidden states (N, X, D) of each column, from the copy that masks it."""
    is_odd_NX1 = (column_NX % 2 == 1)[..., None]
    return torch.where(is_odd_NX1, hidden_NAXD[:, 1], hidden_NAXD[:, 0])


def probability_of(token_NX: Tensor, logits_NXV: Tensor, mask: int) -> Tensor:
    """Return the probabilities (N, X) of tokens; the mask token has probability 0."""
    logits_NXV = logits_NXV.float()
    logits_NXV[..., mask] = -torch.inf
    return torch.log_softmax(logits_NXV, -1).gather(2, token_NX[..., None])[..., 0].exp()
