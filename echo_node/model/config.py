"""Configuration of an ECHO network: that of Qwen2.5-VL, with a block length and a mask token."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, Qwen2_5_VLConfig

MASK_TOKEN = "<|MASK|>"  # noqa: S105 - a vocabulary token, not a secret


@strict
class EchoConfig(Qwen2_5_VLConfig):
    """Configuration of a checkpoint (config.json).

    Attributes:
        block_length: number of tokens per block (B in the paper); 0 if unknown.
        mask_token_id: id of `<|MASK|>`, the placeholder for tokens that are not yet written.
    """

    model_type = "echo"

    block_length: int = 0
    mask_token_id: int | None = None

    @property
    def text(self) -> Any:
        """Configuration of the language model (transformers gives it a union type)."""
        return self.text_config

    @property
    def end_of_sequence(self) -> int:
        """Id of the end-of-sequence token.

        Raises:
            ValueError: the configuration has none.
        """
        return _required(self.text.eos_token_id, "text_config.eos_token_id")

    @property
    def mask(self) -> int:
        """Id of `<|MASK|>`.

        Raises:
            ValueError: the configuration has none, so this is not a block-diffusion model.
        """
        return _required(self.mask_token_id, "mask_token_id")


AutoConfig.register(EchoConfig.model_type, EchoConfig)


def _required(token_id: int | list[int] | None, name: str) -> int:
    if isinstance(token_id, int):
        return token_id
    raise ValueError(f"the configuration has no single {name}")
