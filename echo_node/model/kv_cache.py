"""Preallocated key-value cache with one slot per position: writing a position again overwrites it.

Shapes: N sequences, H key-value heads, S slots, L tokens per forward pass, D head dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor


class SlotCache:
    """Keys and values in numbered slots; the attention mask decides which slots a query attends to.

    The cache never appends, moves or removes anything. A forward pass writes its tokens into the
    slots given to `place`. The memory starts as zeros, because masked values must be finite too.
    """

    def __init__(
        self, layers: int, sequences: int, heads: int, slots: int, head_dim: int, like: Tensor
    ) -> None:
        shape = (layers, sequences, heads, slots, head_dim)
        self._keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self._values = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self._slot_N1L1 = torch.empty(0, dtype=torch.long, device=like.device)
        self._seen = slots

    @property
    def slots(self) -> int:
        """S, the number of slots for one sequence."""
        return self._keys.shape[3]

    def place(self, slot_NL: Tensor, seen: int) -> None:
        """Set the slots that the next forward pass writes; its mask covers the first *seen*."""
        self._slot_N1L1 = slot_NL[:, None, :, None]
        self._seen = seen

    def update(
        self, key_NHLD: Tensor, value_NHLD: Tensor, layer_idx: int, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write a layer's new keys and values; return those of all visible slots."""
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        index = self._slot_N1L1.expand_as(key_NHLD)
        keys.scatter_(2, index, key_NHLD)
        values.scatter_(2, index, value_NHLD)
        return keys[:, :, : self._seen], values[:, :, : self._seen]
