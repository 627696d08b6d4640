"""Collation of examples into tensors.

Shapes: N examples, P prompt tokens, R response tokens (of the longest response of the batch, in
whole blocks), H and W pixels, F kinds of finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

from echo_node.inference.image import ImagePreparation
from echo_node.inference.prompt import prompt_ids
from echo_node.model.network import EchoNetwork, Prompt
from training.examples.examples import Images


@dataclass(frozen=True, slots=True)
class LazyPatches:
    """Images (N, H, W) of one size, which become patches only when they are needed."""

    image_NHW: Tensor
    preparation: ImagePreparation

    def patches(self) -> Tensor:
        """Return the patches of all images."""
        return self.preparation.patches(self.image_NHW)[0]

    def to(self, device: torch.device) -> LazyPatches:
        """Return the images on a device."""
        return replace(self, image_NHW=self.image_NHW.to(device))

    @staticmethod
    def cat(parts: Sequence[LazyPatches]) -> LazyPatches:
        """Return the images of all parts, which must have the same preparation."""
        return replace(parts[0], image_NHW=torch.cat([part.image_NHW for part in parts]))


@dataclass(frozen=True, slots=True)
class Batch:
    """Batch of examples.

    Attributes:
        prompt_NP: token ids of the prompts.
        pixel_values: patches of all images, or the images themselves.
        grid_thw: number of patches of each image along time, height and width, (N, 3).
        response_NR: token ids of the responses, padded with EOS.
        trained_NR: mask of the tokens up to the end of the block with a response's first EOS.
        findings_NF: value of each kind of finding; (N, 0) if the data do not state them.
        index_N: numbers of the examples, for caches.
        features: output of a frozen vision tower for the patches, if already known.
    """

    prompt_NP: Tensor
    pixel_values: Tensor | LazyPatches
    grid_thw: Tensor
    response_NR: Tensor
    trained_NR: Tensor
    findings_NF: Tensor
    index_N: Tensor | None = None
    features: Tensor | None = None

    def embed(self, model: EchoNetwork) -> Prompt:
        """Return the prompts, embedded by *model*; any features must come from its vision tower."""
        patches = self.patches() if self.features is None else None
        return model.embed_prompt(self.prompt_NP, patches, self.grid_thw, features=self.features)

    def patches(self) -> Tensor:
        """Return the patches of all images."""
        return (
            self.pixel_values.patches() if isinstance(self.pixel_values, LazyPatches) else self.pixel_values
        )

    def with_features(self, features: Tensor) -> Batch:
        """Return the batch with the vision tower's output for its patches."""
        return replace(self, features=features)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: None if t is None else t.to(device) for name, t in own.items()}
        return Batch(**moved)


def concatenated(parts: Sequence[Batch]) -> Batch:
    """Return several parts as one batch.

    All images must have the same size, and all parts must store them in the same form.
    """
    own = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Batch)}
    width = max(response_NR.shape[1] for response_NR in own["response_NR"])
    own["response_NR"] = [_widened(each_NR, width) for each_NR in own["response_NR"]]
    own["trained_NR"] = [F.pad(each_NR, (0, width - each_NR.shape[1])) for each_NR in own["trained_NR"]]
    joined: dict[str, Any] = {
        name: None
        if each[0] is None
        else LazyPatches.cat(each)
        if isinstance(each[0], LazyPatches)
        else torch.cat(each)
        for name, each in own.items()
    }
    return Batch(**joined)


def _widened(response_NR: Tensor, width: int) -> Tensor:
    """Pad by repeating the last column, in which every response has ended."""
    return torch.cat([response_NR, response_NR[:, -1:].expand(-1, width - response_NR.shape[1])], 1)


def prepare_prompts(
    images: Images, preparation: ImagePreparation, tokenizer: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the prompt ids (N, P), the patches and the grid of images of one size."""
    pixel_values, grid_thw = preparation.patches(torch.from_numpy(images))
    return _prompts(grid_thw, preparation, tokenizer), pixel_values, grid_thw


def _prompts(grid_thw: Tensor, preparation: ImagePreparation, tokenizer: Any) -> Tensor:
    ids = prompt_ids(tokenizer, preparation.tokens(grid_thw[0]))
    return torch.tensor([ids] * len(grid_thw))


def pad_responses(
    responses: Sequence[Sequence[int]], prompt_length: int, block_length: int, eos_id: int
) -> tuple[Tensor, Tensor]:
    """Pad responses (without EOS) with EOS to whole blocks of the absolute grid.

    Returns:
        The token ids (N, R), and the mask (N, R) of the tokens to train on.
    """
    tail = prompt_length % block_length
    lengths = [-(-(tail + len(r) + 1) // block_length) * block_length - tail for r in responses]
    response_NR = torch.full((len(responses), max(lengths)), eos_id)
    for row, response in zip(response_NR, responses, strict=True):
        row[: len(response)] = torch.tensor(response)
    trained_NR = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    return response_NR, trained_NR


def collate(
    images: Images,
    reports: Sequence[str],
    findings: Sequence[Sequence[int]],
    preparation: ImagePreparation,
    tokenizer: Any,
    block_length: int,
) -> Batch:
    """Return a batch of images of one size, with their reports and, if known, their findings."""
    grid_thw = preparation.grid(*images.shape)
    prompt_NP = _prompts(grid_thw, preparation, tokenizer)
    responses = tokenizer(list(reports), add_special_tokens=False)["input_ids"]
    response_NR, trained_NR = pad_responses(
        responses, prompt_NP.shape[1], block_length, tokenizer.eos_token_id
    )
    patches = LazyPatches(torch.from_numpy(images), preparation)
    return Batch(prompt_NP, patches, grid_thw, response_NR, trained_NR, torch.tensor(findings))
