"""Benchmark of RAD against full duplication: the same loss, and the time and memory of each.

Full duplication lays out image, prompt and response twice: 2 (P + R) tokens. RAD repeats the
response only. Each layout runs in its own process, so that their memory can be measured separately.
The processes take turns, so that other load on the machine affects both.

`python -m echo_node.bench.rad LAYOUT CASE` is one of these processes.

Shapes: N examples, P prompt, R response, C noisy copies, S layout, D width.
"""

from __future__ import annotations

import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from echo_node.errors import PermanentError
from echo_node.model.block_mask import Elements, attention_mask, rad_length
from echo_node.model.config import EchoConfig
from echo_node.model.network import EchoNetwork, Prompt
from training.objectives.noise import Noise
from training.objectives.rad import add_noise, masked_loss, noisy_hidden_states

LAYOUTS = ("rad", "full")
SIZES = {  # width, layers, heads, key-value heads, feed-forward width
    "small": (256, 4, 4, 2, 768),
    "wide": (3584, 4, 28, 4, 18944),  # four layers of the 7B model
}
_VOCABULARY, _EOS, _MASK, _IMAGE, _BEGIN, _END, _WORD = 4096, 2, 3, 5, 6, 7, 9


@dataclass(frozen=True, slots=True)
class Case:
    """Dimensions of a measurement.

    Attributes:
        prompt: P, tokens of image and prompt.
        response: R, tokens of the response.
        block_length: B, tokens per block.
        batch: examples per step.
        size: dimensions of the network, a key of `SIZES`.
    """

    prompt: int
    response: int
    block_length: int
    batch: int
    size: str


def full_hidden_states(
    model: EchoNetwork, prompt: Prompt, clean_NR: Tensor, noisy_CNR: Sequence[Tensor]
) -> Tensor:
    """Run the layout [clean | noisy] of the whole sequence.

    Returns:
        The hidden states of the noisy response, (1, N, R, D).
    """
    [noisy_NR] = noisy_CNR
    total = prompt.length + clean_NR.shape[1]
    position_S = torch.arange(total, device=clean_NR.device).repeat(2)
    stream_S = torch.arange(2 * total, device=clean_NR.device) // total
    clean, noisy = model.embed_response(clean_NR), model.embed_response(noisy_NR)
    embeds_NSD = torch.cat([prompt.embeds_NPD, clean, prompt.embeds_NPD, noisy], 1)
    mask_SS = attention_mask(Elements(position_S // model.config.block_length, stream_S))
    hidden_NSD = model.hidden_states(embeds_NSD, prompt.position_ids(position_S), mask_SS)
    return hidden_NSD[None, :, -clean_NR.shape[1] :]


def bench_rad(case: Case, rounds: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure both layouts.

    Args:
        case: dimensions of the measurement.
        rounds: number of turns of each layout after one warm-up; the result has the medians.
        progress: receives a line about each measurement.

    Returns:
        The case. For each layout: `loss`, `language_model_ms` (forward and backward pass),
        `step_ms`, `peak_mb` and `tokens`. For the two layouts together: their differences and
        ratios. On a CPU, times are CPU times, which other programs do not affect, and memory is the
        growth of the resident set.

    Raises:
        PermanentError: a measuring process died.
    """
    turns: dict[str, list[dict[str, float]]] = {layout: [] for layout in LAYOUTS}
    with ExitStack() as stack:
        processes = {layout: stack.enter_context(_process(layout, case)) for layout in LAYOUTS}
        for turn in range(rounds + 1):
            for layout, process in processes.items():
                progress(f"{layout}, turn {turn} of {rounds}")
                turns[layout].append(_turn(layout, process))
    medians = {layout: _median(taken) for layout, taken in turns.items()}
    rad, full = medians["rad"], medians["full"]
    return {
        **asdict(case),
        **medians,
        "loss_difference": abs(rad["loss"] - full["loss"]),
        "language_model_ratio": full["language_model_ms"] / rad["language_model_ms"],
        "step_ratio": full["step_ms"] / rad["step_ms"],
        "memory_ratio": full["peak_mb"] / rad["peak_mb"],
    }


def _process(layout: str, case: Case) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "echo_node.bench.rad", layout, json.dumps(asdict(case))]
    return subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _turn(layout: str, process: subprocess.Popen[str]) -> dict[str, float]:
    pipes = process.stdin, process.stdout
    line = ""
    if pipes[0] is not None and pipes[1] is not None and process.poll() is None:
        pipes[0].write("\n")
        pipes[0].flush()
        line = pipes[1].readline()
    if not line:
        raise PermanentError(f"the process that measures '{layout}' died; it may have run out of memory")
    figures: dict[str, float] = json.loads(line)
    return figures


def _median(turns: list[dict[str, float]]) -> dict[str, float]:
    figures = {name: statistics.median(turn[name] for turn in turns[1:]) for name in turns[0]}
    return {**figures, "loss": turns[0]["loss"], "peak_mb": turns[-1]["peak_mb"]}


def _network(case: Case, device: torch.device) -> EchoNetwork:
    width, layers, heads, key_value_heads, feed_forward = SIZES[case.size]
    half = width // heads // 2
    config = EchoConfig(
        text_config={
            "vocab_size": _VOCABULARY, "hidden_size": width, "intermediate_size": feed_forward,
            "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": key_value_heads, "eos_token_id": _EOS, "bos_token_id": None,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 1e6,
                "mrope_section": [half - 2 * (half * 3 // 8), half * 3 // 8, half * 3 // 8],
            },
            "max_position_embeddings": 32768,
        },
        vision_config={
            "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "out_hidden_size": width,
            "fullatt_block_indexes": [1],
        },
        image_token_id=_IMAGE, video_token_id=_IMAGE, vision_start_token_id=_BEGIN, vision_end_token_id=_END,
        mask_token_id=_MASK, block_length=case.block_length, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    with device:
        network = EchoNetwork(config)
    network.model.visual.requires_grad_(requires_grad=False)
    return network


def _inputs(case: Case, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the ids, patches and grid of prompts of P tokens.

    Each prompt has the largest square image that fits.
    """
    side = math.isqrt(case.prompt - 3)
    words = [_WORD] * (case.prompt - side**2 - 2)
    ids = torch.tensor([[_BEGIN, *[_IMAGE] * side**2, _END, *words]] * case.batch)
    generator = torch.Generator().manual_seed(1)
    patches = torch.randn((case.batch * 4 * side**2, 1176), generator=generator)
    grid = torch.tensor([[1, 2 * side, 2 * side]] * case.batch)
    return ids.to(device), patches.to(device), grid.to(device)


def measure(layout: str, case: Case) -> Callable[[], dict[str, float]]:
    """Return a function that runs one training step and returns its loss, times and memory."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, inputs = _network(case, device), _inputs(case, device)
    states = noisy_hidden_states if layout == "rad" else full_hidden_states
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-4)
    generator = torch.Generator().manual_seed(2)
    shape = (case.batch, case.response)
    response_NR = torch.randint(10, _VOCABULARY, shape, generator=generator).to(device)
    trained_NR = torch.ones_like(response_NR, dtype=torch.bool)
    noised = add_noise(model, case.prompt, response_NR, trained_NR, 0.1, Noise(0))
    total = case.prompt + case.response
    of_rad = rad_length(case.prompt, case.response, case.block_length)
    tokens = case.batch * (of_rad if layout == "rad" else 2 * total)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def step() -> dict[str, float]:
        started = _now(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            prompt = model.embed_prompt(*inputs)
            embedded = _now(device)
            [hidden_NRD] = states(model, prompt, response_NR, [noised.noisy_NR])
            loss = masked_loss(model, hidden_NRD, response_NR, noised)[0] / trained_NR.sum()
        loss.backward()
        computed = _now(device)
        optimiser.step()
        optimiser.zero_grad()
        return {
            "loss": loss.item(),
            "language_model_ms": (computed - embedded) * 1e3,
            "step_ms": (_now(device) - started) * 1e3,
            "peak_mb": _peak_mb(device, before),
            "tokens": tokens,
        }

    return step


def _now(device: torch.device) -> float:
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def _peak_mb(device: torch.device, before_kb: int) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1e3


def main() -> None:
    """Run a step for each line of standard input, and write its measurements as a line of JSON."""
    step = measure(sys.argv[1], Case(**json.loads(sys.argv[2])))
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(step()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
