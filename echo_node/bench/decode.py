"""Benchmark of decoding: all decoders, in turns, on the same weights and images.

Tokens count up to the end of sequence only. The autoregressive rows run the same network with a
causal mask. Their text means nothing, but their speed is that of an autoregressive model of these
dimensions. They write as many tokens as the longest draft that a block decoder wrote in the first
turn.

Shapes: N sequences, P prompt tokens.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import GenerationMixin

from echo_node.bench.inputs import Inputs
from echo_node.model.decoding.canvas import Decoded, DecodeSettings
from echo_node.model.decoding.decoder import Decoder, decode_settings
from echo_node.model.network import EchoNetwork, Prompt

Row = dict[str, object]

_BASE = "ar"
_EAGER = "ar_eager"


@dataclass(frozen=True, slots=True)
class Timed:
    """Times and counts of one batch of drafts.

    Attributes:
        vision: vision tower and prompt embedding, in seconds.
        prefill: prefill of the language model, in seconds.
        decode: decoding with the check, in seconds.
        finish: check and repair after the last block, in seconds; included in *decode*.
        tokens: tokens written.
        forwards: forward passes of the language model, summed over the batch.
    """

    vision: float
    prefill: float
    decode: float
    finish: float
    tokens: float
    forwards: float


def modes(threshold: float, max_new_tokens: int, *, forced_length: bool) -> dict[str, DecodeSettings]:
    """Return the settings of the block decoders to measure, by name."""
    one_step = replace(decode_settings("one_step", threshold, max_new_tokens), forced_length=forced_length)
    adaptive = replace(decode_settings("adaptive", threshold, max_new_tokens), forced_length=forced_length)
    return {
        "multi_step": replace(one_step, confidence_threshold=0.85, most_steps=0),
        "one_step": replace(one_step, schedule="unfused"),
        "one_step_fused": one_step,
        "adaptive": adaptive,
        "adaptive_mark": replace(adaptive, check="mark"),
        "adaptive_repair": replace(adaptive, check="repair"),
    }


def bench_decode(
    model: EchoNetwork,
    inputs_of: Callable[[int, int], Inputs],
    batches: Sequence[int],
    settings: dict[str, DecodeSettings],
    rounds: int,
    progress: Callable[[str], None],
) -> list[Row]:
    """Measure every mode at every batch size.

    Args:
        model: network to measure.
        inputs_of: function that returns the prompts for a batch size and a turn number.
        batches: batch sizes.
        settings: settings of the block decoders, by mode.
        rounds: number of turns of every mode, each with other images.
        progress: receives a line about each measurement.

    Returns:
        A row for each mode and batch size. It has the median milliseconds for the whole batch,
        `tokens_per_second` of decoding including the check, and the ratios of this speed to that of
        each autoregressive row. On a GPU it also has `bandwidth_fraction`: the time to read all
        weights once, as a fraction of the time of a forward pass.
    """
    rows: list[Row] = []
    minimum_forward_s = _minimum_forward_s(model)
    for batch in batches:
        timed_turns: dict[str, list[Timed]] = {mode: [] for mode in (_EAGER, _BASE, *settings)}
        decoders = {mode: Decoder(model, wanted) for mode, wanted in settings.items()}
        length = 0
        images = [inputs_of(batch, turn) for turn in range(rounds + 1)]
        for turn, inputs in enumerate(images):  # the first turn is a warm-up
            for mode, decoder in decoders.items():
                progress(f"batch {batch}, {mode}, turn {turn} of {rounds}")
                timed, decoded = _time_decoder(model, inputs, decoder)
                length = max(length, *(d.written for d in decoded))
                timed_turns[mode].append(timed)
            progress(f"batch {batch}, autoregressive, turn {turn} of {rounds}")
            if turn == 0:
                one_by_one = DecodeSettings(0.0, 0, length, "next_token", forced_length=True)
                base = Decoder(model, one_by_one)
            timed_turns[_BASE].append(_time_decoder(model, inputs, base)[0])
            timed_turns[_EAGER].append(_time_transformers(model, inputs, length))
        typical = {mode: _typical(turns[1:]) for mode, turns in timed_turns.items()}
        rows += [_row(mode, batch, timed, typical, minimum_forward_s) for mode, timed in typical.items()]
    return rows


def forward_times(model: EchoNetwork, inputs: Inputs, rounds: int) -> dict[int, float]:
    """Return the time of a cached forward pass for one sequence, by its number of tokens.

    The numbers of tokens are 1, B, 2 B and 4 B. A forward pass with a check has 4 B tokens. Times
    are in milliseconds.
    """
    length = model.config.block_length
    prompt = _embed(model, inputs)
    milliseconds: dict[int, float] = {}
    for width in (1, length, 2 * length, 4 * length):
        position = torch.arange(prompt.length, prompt.length + width, device=prompt.embeds_NPD.device)
        embeds = model.embed_response(torch.zeros_like(position)[None])
        cache = model.new_cache(1, prompt.length + width)
        cache.place(position[None], cache.slots)
        mask = torch.ones((width, cache.slots), dtype=torch.bool, device=position.device)
        times = []
        for _ in range(rounds):
            started = _now()
            with torch.inference_mode():
                model.lm_head(model.hidden_states(embeds, prompt.row(0).position_ids(position), mask, cache))
            times.append(_now() - started)
        milliseconds[width] = statistics.median(times) * 1e3
    return milliseconds


def _embed(model: EchoNetwork, inputs: Inputs) -> Prompt:
    with torch.inference_mode():
        return model.embed_prompt(inputs.ids_NP, inputs.pixel_values, inputs.grid_thw)


def _time_decoder(model: EchoNetwork, inputs: Inputs, decoder: Decoder) -> tuple[Timed, list[Decoded]]:
    started = _now()
    prompt = _embed(model, inputs)
    embedded = _now()
    with torch.inference_mode():
        writer = decoder.begin(prompt)
        prefilled = _now()
        while not writer.canvas.finished:
            writer.advance()
        written = _now()
        decoder.finish(writer)
        ended = _now()
    decoded = writer.canvas.results()
    timed = Timed(
        vision=embedded - started,
        prefill=prefilled - embedded,
        decode=ended - prefilled,
        finish=ended - written,
        tokens=sum(d.written for d in decoded),
        forwards=sum(d.forwards for d in decoded),
    )
    return timed, decoded


def _time_transformers(model: EchoNetwork, inputs: Inputs, length: int) -> Timed:
    """Time `generate` of transformers. The time to the first token counts as its prefill."""
    arguments: dict[str, Any] = {
        "input_ids": inputs.ids_NP,
        "attention_mask": torch.ones_like(inputs.ids_NP),
        "mm_token_type_ids": (inputs.ids_NP == model.config.image_token_id).int(),
        "pixel_values": inputs.pixel_values,
        "image_grid_thw": inputs.grid_thw,
        "do_sample": False,
    }
    took = []
    for tokens in (1, length):
        started = _now()
        GenerationMixin.generate(model, **arguments, max_new_tokens=tokens, min_new_tokens=tokens)
        took.append(_now() - started)
    batch = len(inputs.ids_NP)
    return Timed(0.0, took[0], took[1] - took[0], 0.0, (length - 1) * batch, (length - 1) * batch)


def _typical(turns: Sequence[Timed]) -> Timed:
    """Return the median of each time, so that a disturbed turn has no effect, and mean counts."""

    def median(name: str) -> float:
        return float(statistics.median(getattr(turn, name) for turn in turns))

    return Timed(
        vision=median("vision"),
        prefill=median("prefill"),
        decode=median("decode"),
        finish=median("finish"),
        tokens=statistics.fmean(turn.tokens for turn in turns),
        forwards=statistics.fmean(turn.forwards for turn in turns),
    )


def _minimum_forward_s(model: EchoNetwork) -> float | None:
    """Return the time in which a GPU can read the language model's weights, in seconds.

    The estimate uses the GPU's copy bandwidth. On a CPU the result is None.
    """
    device = model.lm_head.weight.device
    if device.type != "cuda":
        return None
    read = [*model.model.language_model.layers.parameters(), model.lm_head.weight]
    weights: int = sum(p.numel() * p.element_size() for p in read)
    return weights / copy_bandwidth(device)


def copy_bandwidth(device: torch.device, size: int = 2**30) -> float:
    """Return the copy bandwidth of a device: bytes read and written per second.

    Args:
        device: GPU to measure.
        size: number of bytes to copy.
    """
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(10):
        started = _now()
        target.copy_(source)
        times.append(_now() - started)
    return 2 * size / min(times)


def _row(
    mode: str, batch: int, timed: Timed, all_modes: dict[str, Timed], minimum_forward_s: float | None
) -> Row:
    def speed(t: Timed) -> float:
        return t.tokens / t.decode

    return {
        "mode": mode,
        "batch": batch,
        "vision_ms": None if mode == _EAGER else timed.vision * 1e3,
        "prefill_ms": timed.prefill * 1e3,
        "decode_ms": timed.decode * 1e3,
        "finish_ms": timed.finish * 1e3,
        "end_to_end_s": timed.vision + timed.prefill + timed.decode,
        "tokens": timed.tokens,
        "forwards": timed.forwards,
        "tokens_per_forward": timed.tokens / timed.forwards,
        "tokens_per_second": speed(timed),
        "ratio_vs_ar": speed(timed) / speed(all_modes[_BASE]),
        "ratio_vs_ar_eager": speed(timed) / speed(all_modes[_EAGER]),
        "bandwidth_fraction": minimum_forward_s and minimum_forward_s * timed.forwards / batch / timed.decode,
    }


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
