"""Estimate of a run's parameters, tokens and memory, before it starts and loads any weights.

The memory is calculated, not measured. Weights, gradients and moments are exact. Activations follow
from the values that each layer keeps for its backward pass. Fragmentation and the needs of the
framework are not included.
"""

from __future__ import annotations

import torch

from echo_node.errors import CheckpointError
from echo_node.model import checkpoint
from echo_node.model.config import EchoConfig
from echo_node.model.report_generation import EchoForReportGeneration
from training.loop.sharding import needs_whole_network
from training.recipe import Recipe
from training.start.lora import adapt
from training.start.start import start, teacher_of

PROMPT_WORDS = 45
"""Approximate number of tokens of a prompt without its image."""
RESPONSE = 160
"""Approximate number of tokens of a report, if the recipe does not limit it."""
_PIXELS_OF_A_TOKEN = 28
_FLOAT, _HALF = 4, 2


def estimate(plan: Recipe, processes: int) -> dict[str, float]:
    """Return the needs of a recipe.

    Args:
        plan: recipe of the run.
        processes: number of processes; each has a shard, or a copy if the recipe requires it.

    Returns:
        `parameters`, `trained_parameters` and `tokens_of_an_update`; and in bytes per process
        `weights`, `gradients_and_moments`, `teacher`, `inner_values` (activations), and their
        total, `memory`.

    Raises:
        CheckpointError: the model to start from does not exist, or has an invalid configuration.
        ConfigError: the recipe names no model to start from.
    """
    model = _outline(plan)
    is_half = plan.hardware.precision == "bfloat16"
    everything = sum(p.numel() for p in model.parameters())
    if plan.lora is not None:
        adapt(model, plan.lora)
    model.model.visual.requires_grad_(plan.optimiser.train_vision)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    frozen_bytes = _HALF if plan.lora is not None and is_half else _FLOAT
    shards = 1 if needs_whole_network(plan) else processes
    weights = (trained * _FLOAT + (total - trained) * frozen_bytes) / shards
    moments = trained * 3 * _FLOAT / shards
    teacher = everything * (_HALF if is_half else _FLOAT) if plan.stage == "dcd" else 0
    inner = _inner_values(plan, model.config, processes)
    return {
        "parameters": everything,
        "trained_parameters": trained,
        "tokens_of_an_update": plan.optimiser.batch * tokens_of_an_example(plan),
        "weights": weights,
        "gradients_and_moments": moments,
        "teacher": teacher,
        "inner_values": inner,
        "memory": weights + moments + teacher + inner,
    }


def tokens_of_an_example(plan: Recipe) -> int:
    """Return the number of tokens that the language model processes for one example."""
    prompt = (plan.data.side // _PIXELS_OF_A_TOKEN) ** 2 + PROMPT_WORDS
    response = plan.dcd.max_new_tokens if plan.stage == "dcd" else RESPONSE
    of_dcd = 3 if plan.dcd.rad_weight else 2
    streams = {"vision": 0, "ar": 1, "rad": 2, "dcd": of_dcd}[plan.stage]
    return prompt + streams * response


def _outline(plan: Recipe) -> EchoForReportGeneration:
    """Return the network without its weights."""
    if not plan.model.start:
        outline: EchoForReportGeneration = start(plan).model.to("meta")  # type: ignore[arg-type]
        return outline
    folder = checkpoint.find_checkpoint(plan.model.start)
    try:
        config = EchoConfig.from_pretrained(folder)
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{folder / 'config.json'} is not a Qwen2.5-VL configuration") from error
    if plan.stage == "dcd":
        checkpoint.find_checkpoint(teacher_of(plan))
    with torch.device("meta"):
        return EchoForReportGeneration(config)


def _inner_values(plan: Recipe, config: EchoConfig, processes: int) -> int:
    """Return the size of the activations of one forward pass, in bytes."""
    text, size = config.text, _HALF if plan.hardware.precision == "bfloat16" else _FLOAT
    examples = plan.hardware.micro_batch or max(1, plan.optimiser.batch // processes)
    tokens = examples * tokens_of_an_example(plan)
    width, inner = text.hidden_size, text.intermediate_size
    heads = text.num_key_value_heads / text.num_attention_heads
    per_layer = int(tokens * (6 * width + 2 * heads * width + 3 * inner)) * size
    layers = text.num_hidden_layers
    activations: int = (
        tokens * width * size * layers + per_layer
        if plan.hardware.gradient_checkpointing
        else per_layer * layers
    )
    logits: int = 0 if plan.stage == "vision" else examples * RESPONSE * text.vocab_size * 3 * _FLOAT
    return activations + logits
