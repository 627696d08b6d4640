"""A checkpoint of small dimensions with random weights, written to a folder."""

from pathlib import Path

from echo_node.inference.image import ImagePreparation
from echo_node.model.checkpoint import ModelFacts
from training.recipe import NewModelRecipe
from training.start.new_model import new_model
from training.start.tokenizer import train_tokenizer

TEXTS = [
    "Findings: The lungs are clear. The heart is normal. Impression: No acute abnormality.",
    "Findings: There is a small right effusion. The heart is enlarged. Impression: Small effusion.",
]
DIMENSIONS = NewModelRecipe(
    vocabulary=320, width=32, layers=2, heads=2, key_value_heads=1, feed_forward=48,
    vision_width=32, vision_layers=1, vision_heads=2, vision_feed_forward=48,
)  # fmt: skip


def write_checkpoint(folder: Path, *, block_length: int = 8, side: int = 56, seed: int = 0) -> Path:
    """Write an untrained model, with its tokeniser and preparation; return the folder."""
    tokenizer = train_tokenizer(TEXTS, DIMENSIONS.vocabulary)
    new_model(DIMENSIONS, tokenizer, block_length, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ImagePreparation(resize="square", side=side).save(folder)
    ModelFacts("small", "1", demonstration=True).save(folder)
    return folder
