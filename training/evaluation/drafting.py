"""Drafts of many images by one decoder, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from echo_node.inference.image import ImagePreparation
from echo_node.model.checkpoint import Checkpoint
from echo_node.model.decoding.canvas import Decoded, DecodeSettings
from echo_node.model.decoding.decoder import Decoder
from training.examples.collate import prepare_prompts

_BATCH = 32

Picture: TypeAlias = NDArray[np.uint8]
"""An image (H, W) in the size that the model gets."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Drafts of one decoder on one set: the texts and what they cost.

    Attributes:
        texts: of the drafts, in the order of the images.
        decoded: of the drafts; empty where no model wrote them.
        seconds: from the pixels of the prepared image to the text, per draft.
    """

    texts: tuple[str, ...]
    decoded: tuple[Decoded, ...] = ()
    seconds: float = 0.0

    @property
    def tokens_per_forward(self) -> float | None:
        """Tokens written for each forward of the language model; None where no model wrote."""
        forwards = sum(d.forwards for d in self.decoded)
        return sum(d.written for d in self.decoded) / forwards if forwards else None

    @property
    def each_ended(self) -> NDArray[np.bool_]:
        """Which drafts came to their end by themselves; all that no model wrote."""
        if not self.decoded:
            return np.ones(len(self.texts), dtype=bool)
        return np.array([d.ended for d in self.decoded], dtype=bool)

    @property
    def ended(self) -> float:
        """The share of drafts that came to their end by themselves."""
        return float(self.each_ended.mean())


def draft(
    loaded: Checkpoint,
    preparation: ImagePreparation,
    pictures: Sequence[Picture] | NDArray[np.uint8],
    settings: DecodeSettings,
) -> Measured:
    """Draft a report for each picture, in batches of pictures of one size, and time it."""
    started = time.perf_counter()
    decoder, decoded = Decoder(loaded.model, settings), dict[int, Decoded]()
    for indices in _batches(pictures):
        inputs = prepare_prompts(np.stack([pictures[i] for i in indices]), preparation, loaded.tokenizer)
        with torch.inference_mode():
            prompt = loaded.model.embed_prompt(*inputs)
        decoded.update(zip(indices, decoder.write(prompt), strict=True))
    in_order = [decoded[index] for index in range(len(pictures))]
    texts = loaded.tokenizer.batch_decode([list(d.tokens) for d in in_order], skip_special_tokens=True)
    seconds = (time.perf_counter() - started) / max(1, len(pictures))
    return Measured(tuple(texts), tuple(in_order), seconds)


def _batches(pictures: Sequence[Picture] | NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """Return the indices of each batch: pictures of one size, in their order."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index in range(len(pictures)):
        by_size.setdefault(pictures[index].shape, []).append(index)
    return [
        tuple(indices[at : at + _BATCH])
        for indices in by_size.values()
        for at in range(0, len(indices), _BATCH)
    ]
