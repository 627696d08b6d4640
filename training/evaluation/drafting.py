"""Drafts of many images by one decoder, with their cost."""

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

PreparedImage: TypeAlias = NDArray[np.uint8]
"""An image (H, W) in the input size of the model."""


@dataclass(frozen=True, slots=True)
class DraftSet:
    """Drafts of one set of images by one decoder.

    Attributes:
        texts: texts of the drafts, in the order of the images.
        decoded: decoder output of each draft; empty if no model wrote the drafts.
        seconds: mean time per draft, from the pixels of the prepared image to the text, in seconds.
    """

    texts: tuple[str, ...]
    decoded: tuple[Decoded, ...] = ()
    seconds: float = 0.0

    @property
    def tokens_per_forward(self) -> float | None:
        """Tokens written per forward pass of the language model; None for drafts of no model."""
        forwards = sum(d.forwards for d in self.decoded)
        return sum(d.written for d in self.decoded) / forwards if forwards else None

    @property
    def each_ended(self) -> NDArray[np.bool_]:
        """Whether each draft ended with an end token; always true if no model wrote the drafts."""
        if not self.decoded:
            return np.ones(len(self.texts), dtype=bool)
        return np.array([d.ended for d in self.decoded], dtype=bool)

    @property
    def ended(self) -> float:
        """Share of drafts that ended with an end token."""
        return float(self.each_ended.mean())


def draft(
    loaded: Checkpoint,
    preparation: ImagePreparation,
    images: Sequence[PreparedImage] | NDArray[np.uint8],
    settings: DecodeSettings,
) -> DraftSet:
    """Draft a report for each image, in batches of equally sized images, and measure the time."""
    started = time.perf_counter()
    decoder, decoded = Decoder(loaded.model, settings), dict[int, Decoded]()
    for indices in _batches(images):
        inputs = prepare_prompts(np.stack([images[i] for i in indices]), preparation, loaded.tokenizer)
        with torch.inference_mode():
            prompt = loaded.model.embed_prompt(*inputs)
        decoded.update(zip(indices, decoder.write(prompt), strict=True))
    in_order = [decoded[index] for index in range(len(images))]
    texts = loaded.tokenizer.batch_decode([list(d.tokens) for d in in_order], skip_special_tokens=True)
    seconds = (time.perf_counter() - started) / max(1, len(images))
    return DraftSet(tuple(texts), tuple(in_order), seconds)


def _batches(images: Sequence[PreparedImage] | NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """Return the indices of each batch: images of the same size, in their order."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index in range(len(images)):
        by_size.setdefault(images[index].shape, []).append(index)
    return [
        tuple(indices[at : at + _BATCH])
        for indices in by_size.values()
        for at in range(0, len(indices), _BATCH)
    ]
