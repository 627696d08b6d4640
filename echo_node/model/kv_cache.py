"""A preallocated key-value cache whose slots are positions, so that whatever stood there is overwritten.

Shapes: N sequences, H key-value heads, S slots, L tokens of a forward, D head dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor


class SlotCache:
    """Keys and values in numbered slots; who may look at which slot is for the attention mask to say.

    Nothing is ever appended, moved or cut: a forward writes its tokens into the slots that `place` names.
    The memory starts as zeros, because what a mask hides must still be finite.
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
        """S, the room for one sequence."""
        return self._keys.shape[3]

    def place(self, slot_NL: Tensor, seen: int) -> None:
        """Say into which slots the next forward writes, and that its mask is over the first *seen* ones."""
        self._slot_N1L1 = slot_NL[:, None, :, None]
        self._seen = seen

    def update(
        self, key_NHLD: Tensor, value_NHLD: Tensor, layer_idx: int, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write a layer's new keys and values into their slots; return those of all seen slots."""
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        index = self._slot_N1L1.expand_as(key_NHLD)
        keys.scatter_(2, index, key_NHLD)
        values.scatter_(2, index, value_NHLD)
        return keys[:, :, : self._seen], values[:, :, : self._seen]
