"""Prompt of the model, in the tokeniser's chat template, with one image."""

from __future__ import annotations

from typing import Any

PROMPT = "Review this chest X-ray and write a report. Use this format: Findings: {}, Impression: {}."
IMAGE_TOKEN = "<|image_pad|>"  # noqa: S105 - a vocabulary token, not a secret


def prompt_ids(tokenizer: Any, image_tokens: int) -> list[int]:
    """Return the token ids of the prompt with *image_tokens* placeholders for the image.

    Args:
        tokenizer: Hugging Face tokeniser with a chat template for Qwen2.5-VL.
        image_tokens: number of merged patches of the image.
    """
    content = [{"type": "image"}, {"type": "text", "text": PROMPT}]
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    ids: list[int] = tokenizer(
        text.replace(IMAGE_TOKEN, IMAGE_TOKEN * image_tokens, 1), add_special_tokens=False
    )["input_ids"]
    return ids
