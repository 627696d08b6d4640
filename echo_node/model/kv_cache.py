"""A preallocated key-value cache of the clean stream, written in place and advanced by whole blocks.

Shapes: N sequences, H key-value heads, T capacity in tokens, Q new tokens, D head dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor


class BlockCache:
    """Keys and values of the clean tokens so far, with room behind them for the forward in progress.

    A forward writes its keys and values behind the committed ones; `commit` keeps the first of them.
    What is not committed is overwritten by the next forward, so that noisy blocks leave no trace.
    """

    def __init__(
        self, layers: int, sequences: int, heads: int, capacity: int, head_dim: int, like: Tensor
    ) -> None:
        shape = (layers, sequences, heads, capacity, head_dim)
        self._keys = torch.empty(shape, dtype=like.dtype, device=like.device)
        self._values = torch.empty(shape, dtype=like.dtype, device=like.device)
        self._length = 0

    def update(
        self, key_NHQD: Tensor, value_NHQD: Tensor, layer_idx: int, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write a layer's new keys and values behind the committed ones; return all of them."""
        end = self._length + key_NHQD.shape[2]
        self._keys[layer_idx, :, :, self._length : end] = key_NHQD
        self._values[layer_idx, :, :, self._length : end] = value_NHQD
        return self._keys[layer_idx, :, :, :end], self._values[layer_idx, :, :, :end]

    def commit(self, tokens: int) -> None:
        """Keep the first *tokens* of the last forward."""
        self._length += tokens
