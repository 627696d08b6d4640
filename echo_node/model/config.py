"""The configuration of an ECHO network: Qwen2.5-VL's, a block length and a mask token."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict
from transformers import Qwen2_5_VLConfig


@strict
class EchoConfig(Qwen2_5_VLConfig):  # type: ignore[misc]
    """What a checkpoint must say about itself.

    Attributes:
        block_length: how many tokens one denoising forward writes (B in the paper).
        mask_token_id: the id of `<|MASK|>`, the token that stands for what is not yet written.
    """

    model_type = "echo"

    block_length: int = 8
    mask_token_id: int | None = None
