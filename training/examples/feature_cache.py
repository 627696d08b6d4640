"""Cache of a frozen vision tower's output, which is computed once per image.

Shapes: N images, T tokens of an image, D width.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from echo_node.model.network import EchoNetwork
from training.examples.collate import Batch
from training.file_cache import save_tensors

_MADE_AT_ONCE = 64


def tower_digest(model: EchoNetwork) -> str:
    """Return a digest of a vision tower's weights, regardless of their floating-point type."""
    total = hashlib.sha256()
    for name, tensor in model.model.visual.state_dict().items():
        numbers = tensor.detach().cpu().bfloat16().contiguous()
        total.update(name.encode() + numbers.view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


class FeatureCache:
    """Features of examples by their numbers, in memory and optionally on disk."""

    def __init__(self, model: EchoNetwork, belongs_to: str, folder: Path | None) -> None:
        """Open the cache.

        Args:
            model: network with the vision tower.
            belongs_to: key of the data and of the image preparation (`examples_key`).
            folder: folder of the cache; None keeps the features in memory only.
        """
        self._model = model
        self._features: dict[int, Tensor] = {}
        self._folder: Path | None = None
        if folder is not None:
            digest = hashlib.sha256((tower_digest(model) + belongs_to).encode()).hexdigest()[:16]
            self._folder = folder / digest
            self._folder.mkdir(parents=True, exist_ok=True)

    def add_to(self, batch: Batch, indices: list[int]) -> Batch:
        """Return the batch with the features (N * T, D) of its images, numbered *indices*."""
        missing = [row for row, index in enumerate(indices) if not self._has(index)]
        if missing:
            self._make(batch, indices, missing)
        return batch.with_features(torch.cat([self._features[index] for index in indices]))

    def _has(self, index: int) -> bool:
        if index not in self._features and self._folder is not None:
            path = self._folder / f"{index}.pt"
            if path.is_file():
                self._features[index] = torch.load(path, weights_only=True)
        return index in self._features

    @torch.no_grad()
    def _make(self, batch: Batch, indices: list[int], rows: list[int]) -> None:
        device = self._model.lm_head.weight.device
        patches_N = batch.grid_thw.prod(1).tolist()
        pixels = torch.split(batch.patches(), patches_N)
        for at in range(0, len(rows), _MADE_AT_ONCE):
            part = rows[at : at + _MADE_AT_ONCE]
            outputs = self._model.get_image_features(
                torch.cat([pixels[row] for row in part]).to(device), batch.grid_thw[part].to(device)
            ).pooler_output
            for row, features_TD in zip(part, outputs, strict=True):
                self._keep(indices[row], features_TD.cpu().clone())

    def _keep(self, index: int, features_TD: Tensor) -> None:
        self._features[index] = features_TD
        if self._folder is None:
            return
        advice = "free some space and run the same command again, or set hardware.keep_vision = 'memory'"
        save_tensors(features_TD, self._folder / f"{index}.pt", advice)
