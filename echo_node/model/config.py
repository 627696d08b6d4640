"""The configuration of an ECHO network: Qwen2.5-VL's, a block length and a mask token."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, Qwen2_5_VLConfig

MASK_TOKEN = "<|MASK|>"  # noqa: S105 - a token of the vocabulary, no secret


@strict
class EchoConfig(Qwen2_5_VLConfig):
    """What a checkpoint must say about itself.

    Attributes:
        block_length: how many tokens one denoising forward writes (B in the paper); 0 if it is not known.
        mask_token_id: the id of `<|MASK|>`, the token that stands for what is not yet written.
    """

    model_type = "echo"

    block_length: int = 0
    mask_token_id: int | None = None

    @property
    def text(self) -> Any:
        """The language model's part (transformers types it as one of several things)."""
        return self.text_config

    @property
    def end_of_sequence(self) -> int:
        """The id that ends a response.

        Raises:
            ValueError: the configuration has none.
        """
        return _required(self.text.eos_token_id, "text_config.eos_token_id")

    @property
    def mask(self) -> int:
        """The id of `<|MASK|>`.

        Raises:
            ValueError: the configuration has none: not a block-diffusion model.
        """
        return _required(self.mask_token_id, "mask_token_id")


AutoConfig.register(EchoConfig.model_type, EchoConfig)


def _required(token_id: int | list[int] | None, name: str) -> int:
    if isinstance(token_id, int):
        return token_id
    raise ValueError(f"the configuration has no single {name}")
