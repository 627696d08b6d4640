"""Inputs of the model benchmarks: a checkpoint or full-size random weights, and images.

Shapes: N sequences, P prompt tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from echo_node.domain.studies.study import GreyImage
from echo_node.inference.image import ImagePreparation
from echo_node.inference.processor import EchoProcessor
from echo_node.model.checkpoint import Checkpoint
from echo_node.model.config import EchoConfig
from echo_node.model.report_generation import EchoForReportGeneration

_7B_IMAGE = (1500, 1500)  # 2.25 megapixels
_7B_TEXT_TOKENS = 60


@dataclass(frozen=True, slots=True)
class Inputs:
    """Prompts of one image each.

    Attributes:
        ids_NP: token ids.
        pixel_values: patches of all images.
        grid_thw: number of patches of each image along time, height and width, (N, 3).
    """

    ids_NP: Tensor
    pixel_values: Tensor
    grid_thw: Tensor


def phantom_inputs(loaded: Checkpoint, seed: int) -> Callable[[int, int], Inputs]:
    """Return a function that makes batches of phantoms, different ones in each turn."""
    from training.phantom.dataset import PhantomDataset

    processor = EchoProcessor(ImagePreparation.load(loaded.folder), loaded.tokenizer)

    def inputs_of(batch: int, turn: int) -> Inputs:
        images = [case.image for case in PhantomDataset(batch * (turn + 1), seed)[batch * turn :]]
        greys = [GreyImage(image.shape[1], image.shape[0], image.tobytes()) for image in images]
        inputs = processor(greys, device=loaded.model.device)
        return Inputs(inputs["input_ids"], inputs["pixel_values"], inputs["image_grid_thw"])

    return inputs_of


def random_7b(device: str, block_length: int) -> EchoForReportGeneration:
    """Return a network of the size of Qwen2.5-VL 7B with random weights; bfloat16 on a GPU."""
    config = EchoConfig(
        text_config={
            "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "eos_token_id": 151645,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
            "max_position_embeddings": 128000,
        },
        vision_config={
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
            "out_hidden_size": 3584, "fullatt_block_indexes": [7, 15, 23, 31], "window_size": 112,
        },
        image_token_id=151655, video_token_id=151656, vision_start_token_id=151652,
        vision_end_token_id=151653, mask_token_id=151665, block_length=block_length,
        tie_word_embeddings=False,
    )  # fmt: skip
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if device == "cuda" else torch.float32)
    try:
        with torch.device(device):
            model = EchoForReportGeneration(config)
    finally:
        torch.set_default_dtype(before)
    model.train(mode=False)
    return model


def random_7b_inputs(model: EchoForReportGeneration) -> Callable[[int, int], Inputs]:
    """Return a function that makes batches of prompts with noise images of 2.25 megapixels."""
    preparation = ImagePreparation()

    def inputs_of(batch: int, turn: int) -> Inputs:
        generator = torch.Generator().manual_seed(turn)
        grey = torch.randint(0, 256, _7B_IMAGE, generator=generator, dtype=torch.uint8)
        image = GreyImage(_7B_IMAGE[1], _7B_IMAGE[0], grey.numpy().tobytes())
        resized = torch.from_numpy(preparation.resized(image).copy()).to(model.device)
        pixel_values, grid_thw = preparation.patches(resized.expand(batch, -1, -1))
        config = model.config
        places = [config.image_token_id] * preparation.tokens(grid_thw[0])
        text = [1000] * _7B_TEXT_TOKENS
        ids = [config.vision_start_token_id, *places, config.vision_end_token_id, *text]
        ids_NP = torch.tensor([ids] * batch, device=model.device)
        return Inputs(ids_NP, pixel_values.to(model.dtype), grid_thw)

    return inputs_of
