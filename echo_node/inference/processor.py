"""Processor: turns images and the prompt into inputs of the network, and its tokens into text.

It has the interface of a transformers processor, and `AutoProcessor.from_pretrained(folder)`
returns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoProcessor, AutoTokenizer, BatchFeature

from echo_node.domain.studies.study import GreyImage
from echo_node.inference.image import ImagePreparation
from echo_node.inference.prompt import prompt_ids
from echo_node.model.config import EchoConfig

InputImage = GreyImage | Image.Image


class EchoProcessor:
    """Prepares images for a checkpoint, each with the prompt that asks for its report."""

    def __init__(self, preparation: ImagePreparation, tokenizer: Any) -> None:
        self.preparation, self.tokenizer = preparation, tokenizer

    def __call__(
        self, images: InputImage | Sequence[InputImage], *, device: torch.device | str = "cpu", **_: object
    ) -> BatchFeature:
        """Return `input_ids`, `pixel_values` and `image_grid_thw` of images of one prepared size.

        Raises:
            ValueError: the images differ in size after preparation; process them one by one.
        """
        pictures = [images] if isinstance(images, GreyImage | Image.Image) else list(images)
        resized = [torch.from_numpy(self.preparation.resized(_grey(p)).copy()) for p in pictures]
        if len({picture.shape for picture in resized}) > 1:
            raise ValueError("the images differ in size: process them one by one")
        pixel_values, grid_thw = self.preparation.patches(torch.stack(resized).to(device))
        ids = prompt_ids(self.tokenizer, self.preparation.tokens(grid_thw[0]))
        return BatchFeature(
            {
                "input_ids": torch.tensor([ids] * len(pictures), device=device),
                "pixel_values": pixel_values,
                "image_grid_thw": grid_thw,
            }
        )

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, without special tokens."""
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def batch_decode(self, tokens: Sequence[Sequence[int]]) -> list[str]:
        """Return the texts of several responses."""
        return [self.decode(row) for row in tokens]

    @classmethod
    def from_pretrained(cls, folder: str | Path, **_: object) -> EchoProcessor:
        """Load a checkpoint's preparation and tokeniser."""
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return cls(ImagePreparation.load(Path(folder)), tokenizer)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the preparation and the tokeniser into a checkpoint's folder."""
        self.preparation.save(Path(folder))
        self.tokenizer.save_pretrained(folder)


def _grey(picture: InputImage) -> GreyImage:
    if isinstance(picture, GreyImage):
        return picture
    grey = picture.convert("L")
    return GreyImage(grey.width, grey.height, grey.tobytes())


AutoProcessor.register(EchoConfig, EchoProcessor)
