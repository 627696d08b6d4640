"""Decoding: one loop for autoregressive, multi-step, adaptive and one-step block diffusion, and the check.

A block starts as masks. A step reads every masked position's distribution and commits by confidence; the
settings say how many steps a block may take. Committed text is greedy: a student distilled by DCD is only
coherent that way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from echo_node.model.block_writer import BlockWriter
from echo_node.model.canvas import Check, Decoded, DecodeSettings, Step
from echo_node.model.check import check, repair
from echo_node.model.vlm import EchoForReportGeneration, Prompt

Decoder = Literal["one_step", "adaptive", "multi_step"]
StepListener = Callable[[Step], None]


def settings_of(
    decoder: Decoder, confidence_threshold: float, max_new_tokens: int, check: Check = "off"
) -> DecodeSettings:
    """Return the settings of a decoder by its name.

    Args:
        decoder: `one_step`, the paper's ECHO: one forward a block; `adaptive`, a second and at most a third
            one for the tokens that are not confident; `multi_step`, the paper's ECHO-Base: as many as it
            takes.
        confidence_threshold: what counts as confident.
        max_new_tokens: the longest response.
        check: what happens to the finished draft.
    """
    most_steps = {"one_step": 1, "adaptive": 3, "multi_step": 0}[decoder]
    return DecodeSettings(confidence_threshold, most_steps, max_new_tokens, check=check)


@torch.inference_mode()
def decode(
    model: EchoForReportGeneration,
    prompt: Prompt,
    settings: DecodeSettings,
    on_step: StepListener | None = None,
) -> list[Decoded]:
    """Write the responses to N prompts.

    Args:
        model: the network.
        prompt: embedded prompts, of any lengths.
        settings: how to decode.
        on_step: called after each forward, for streaming and for a teacher's rollouts.
    """
    writer = BlockWriter(model, prompt, settings)
    while not writer.canvas.finished:
        step = writer.advance()
        if on_step is not None:
            on_step(step)
    if settings.check != "off":
        check(writer)
    if settings.check == "repair":
        repair(writer, settings)
    return writer.canvas.results()
