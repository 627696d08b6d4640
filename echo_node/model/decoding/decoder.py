"""Decoding: one loop for autoregressive, multi-step, adaptive and one-step decoding, and the check.

A block starts as masks. Each step computes the distributions of all masked positions and commits
the confident tokens; the settings limit the number of steps per block. Commits are greedy, because
a student distilled by DCD writes coherent text only that way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from echo_node.model.decoding.block_writer import BlockWriter
from echo_node.model.decoding.canvas import Check, Decoded, DecodeSettings, DecodingStep
from echo_node.model.decoding.check import check, repair
from echo_node.model.network import EchoNetwork, Prompt

DecoderName = Literal["one_step", "adaptive", "multi_step"]
StepListener = Callable[[DecodingStep], None]


def decode_settings(
    decoder: DecoderName, confidence_threshold: float, max_new_tokens: int, check: Check = "off"
) -> DecodeSettings:
    """Return the settings of a decoder, given its name.

    Args:
        decoder: `one_step`, the paper's ECHO, uses one forward pass per block. `adaptive` adds at
            most three more for tokens below the threshold. `multi_step`, the paper's ECHO-Base, has
            no limit.
        confidence_threshold: minimum probability of a confident token.
        max_new_tokens: maximum length of a response, in tokens.
        check: check of the draft.
    """
    most_steps = {"one_step": 1, "adaptive": 4, "multi_step": 0}[decoder]
    return DecodeSettings(confidence_threshold, most_steps, max_new_tokens, check=check)


class Decoder:
    """Writes batches of responses, in the same memory as long as the next batch fits."""

    def __init__(self, model: EchoNetwork, settings: DecodeSettings) -> None:
        self._model, self._settings = model, settings
        self._writer: BlockWriter | None = None

    @property
    def max_new_tokens(self) -> int:
        """Maximum length of a response, in tokens."""
        return self._settings.max_new_tokens

    @torch.inference_mode()
    def write(self, prompt: Prompt, on_step: StepListener | None = None) -> list[Decoded]:
        """Write the responses to N prompts.

        Args:
            prompt: embedded prompts, of any lengths.
            on_step: called after each forward pass, for streaming and for a teacher's rollouts; its
                argument is valid until it returns.
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
        """Prefill the prompts and return the writer of their responses.

        After `finish`, the writer serves the next batch too. A writer that fails before `finish` is
        dropped, together with its memory and its half-recorded step.
        """
        writer, self._writer = self._writer, None
        if writer is None or not writer.fits(prompt):
            del writer  # free its memory first
            return BlockWriter(self._model, prompt, self._settings)
        writer.begin(prompt)
        return writer

    @torch.inference_mode()
    def finish(self, writer: BlockWriter) -> None:
        """Check and repair the responses, according to the settings."""
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
