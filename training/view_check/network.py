"""Network of the view check, for training in PyTorch; the node runs it in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from echo_node.domain.studies.appearance import Appearance, Zone
from echo_node.inference.view_check import KNOWN, LIMITED, SIDE

_CHANNELS = (1, 24, 48, 80, 112)
_HIDDEN = 96


class ViewNetwork(nn.Module):
    """Four convolutions of stride 2, one hidden layer over all positions, one logit per class."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        pairs = pairwise(_CHANNELS)
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        cells = SIDE // 2 ** len(self.convolutions)
        self.hidden = nn.Linear(_CHANNELS[-1] * cells * cells, _HIDDEN)
        self.classes = nn.Linear(_HIDDEN, len(KNOWN))
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes) of contrast-equalised images (batch, 1, SIDE, SIDE)."""
        for convolution in self.convolutions:
            images = torch.relu(convolution(images))
        hidden = torch.relu(self.hidden(self.dropout(images.flatten(1))))
        logits: Tensor = self.classes(hidden)
        return logits

    def save(
        self,
        path: Path,
        sure: Mapping[Appearance, float],
        limits: Mapping[Zone, float],
        facts: Mapping[str, str],
    ) -> None:
        """Write the weights in 16 bits, with the limits of classes and zones and training facts."""
        state = self.state_dict()
        tensors = {name: each.numpy().astype(np.float16) for name, each in state.items()}
        named = {each.name.lower(): str(sure[each]) for each in KNOWN}
        zones = {f"zone_{each.name.lower()}": str(limits[each]) for each in LIMITED}
        save_file(tensors, path, {**facts, **named, **zones})
