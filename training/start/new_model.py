"""Network with random initial weights, in the dimensions of a recipe."""

from __future__ import annotations

from typing import Any

import torch

from echo_node.inference.prompt import IMAGE_TOKEN
from echo_node.model.config import MASK_TOKEN, EchoConfig
from echo_node.model.report_generation import EchoForReportGeneration
from training.recipe import NewModelRecipe
from training.start.tokenizer import VISION_END, VISION_START


def new_model(
    recipe: NewModelRecipe, tokenizer: Any, block_length: int, seed: int
) -> EchoForReportGeneration:
    """Return a Qwen2.5-VL network of the given dimensions.

    Its rotary sections differ from Qwen's proportions. Rows and columns both get frequencies that
    are high enough to separate the positions of an 8 x 8 grid. With Qwen's proportions, small heads
    would have too few of them.
    """
    half = recipe.width // recipe.heads // 2
    fast = half // 8
    ids = tokenizer.convert_tokens_to_ids
    config = EchoConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": recipe.width,
            "intermediate_size": recipe.feed_forward,
            "num_hidden_layers": recipe.layers,
            "num_attention_heads": recipe.heads,
            "num_key_value_heads": recipe.key_value_heads,
            "max_position_embeddings": 4096,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": recipe.rope_theta,
                "mrope_section": [fast, fast, half - 2 * fast],
            },
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": recipe.vision_layers,
            "hidden_size": recipe.vision_width,
            "intermediate_size": recipe.vision_feed_forward,
            "num_heads": recipe.vision_heads,
            "out_hidden_size": recipe.width,
            "fullatt_block_indexes": list(range(recipe.vision_layers)),
        },
        image_token_id=ids(IMAGE_TOKEN),
        video_token_id=ids(IMAGE_TOKEN),
        vision_start_token_id=ids(VISION_START),
        vision_end_token_id=ids(VISION_END),
        mask_token_id=ids(MASK_TOKEN),
        block_length=block_length,
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    return EchoForReportGeneration(config)
