"""Decoding: one loop for autoregressive, multi-step, adaptive and one-step block diffusion, and the check.

A block starts as masks. A step reads every masked position's distribution and commits by confidence; the
settings say how many steps a block may take. Committed text is greedy: a student distilled by DCD is only
coherent that way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from echo_node.model.decoding.block_writer import BlockWriter
from echo_node.model.decoding.canvas import Check, Decoded, DecodeSettings, Step
from echo_node.model.decoding.check import check, repair
from echo_node.model.network import EchoNetwork, Prompt

DecoderName = Literal["one_step", "adaptive", "multi_step"]
StepListener = Callable[[Step], None]


def decode_settings(
    decoder: DecoderName, confidence_threshold: float, max_new_tokens: int, check: Check = "off"
) -> DecodeSettings:
    """Return the settings of a decoder by its name.

    Args:
        decoder: `one_step`, the paper's ECHO: one forward a block; `adaptive`, at most three more for the
            tokens that are not confident; `multi_step`, the paper's ECHO-Base: as many as it
            takes.
        confidence_threshold: what counts as confident.
        max_new_tokens: the longest response.
        check: what happens to the finished draft.
    """
    most_steps = {"one_step": 1, "adaptive": 4, "multi_step": 0}[decoder]
    return DecodeSettings(confidence_threshold, most_steps, max_new_tokens, check=check)


class Decoder:
    """Writes responses, a batch after another, in the same memory as long as the next batch fits into it."""

    def __init__(self, model: EchoNetwork, settings: DecodeSettings) -> None:
        self._model, self._settings = model, settings
        self._writer: BlockWriter | None = None

    @property
    def max_new_tokens(self) -> int:
        """The longest response that it writes."""
        return self._settings.max_new_tokens

    @torch.inference_mode()
    def write(self, prompt: Prompt, on_step: StepListener | None = None) -> list[Decoded]:
        """Write the responses to N prompts.

        Args:
            prompt: embedded prompts, of any lengths.
            on_step: called after each forward, for streaming and for a teacher's rollouts; what it is given
                holds until it returns.
        """
        writer = self.begin(prompt)
        while not writer.canvas.finished:
            step = writer.advance()
            if on_step is not None:
                on_step(step)
        self.finish(writer)
        return writer.canvas.results()

    @torch.inference_mode()
    def begin(self, prompt: Prompt) -> BlockWriter:
        """Return what writes the responses, the prompts read.

        It serves the next batch too once `finish` has been reached: what failed on the way is given up, with
        its memory and whatever it has recorded by half.
        """
        writer, self._writer = self._writer, None
        if writer is None or not writer.fits(prompt):
            del writer  # its memory first
            return BlockWriter(self._model, prompt, self._settings)
        writer.begin(prompt)
        return writer

    @torch.inference_mode()
    def finish(self, writer: BlockWriter) -> None:
        """Check and repair what was written, as the settings say."""
        if self._settings.check != "off":
            check(writer)
        if self._settings.check == "repair":
            repair(writer, self._settings)
        self._writer = writer


def decode(
    model: EchoNetwork,
    prompt: Prompt,
    settings: DecodeSettings,
    on_step: StepListener | None = None,
) -> list[Decoded]:
    """Write the responses to one batch of prompts; see `Decoder.write`."""
    return Decoder(model, settings).write(prompt, on_step)
