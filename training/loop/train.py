"""The training loop: any objective, on one process or many, with exact resume.

The order of examples and the noise of an update are functions of (seed, update), and the saved
state is complete. A run that was killed and resumed therefore ends with the same weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from training.distributed import Distributed
from training.examples.collate import Batch
from training.loop import snapshot
from training.loop.record import Record
from training.loop.state import StateFolder
from training.loop.validation import HeldOut, Patience
from training.objectives.noise import Noise
from training.objectives.objective import Learner, Metrics, Objective, Share, total
from training.recipe import OptimiserRecipe, Recipe

BatchAt = Callable[[int, range], Batch]
"""Returns the given rows of an update's batch, by the number of the update."""


@dataclass(frozen=True, slots=True)
class TrainingContext:
    """Inputs of the training loop for one run.

    Attributes:
        recipe: recipe of the run.
        distributed: processes of the run.
        learner: model and probes, trained in place.
        objective: objective to minimise.
        optimizers: optimisers, which together cover all trained parameters.
        batch_at: source of the batches.
        states: folder of the saved states, to resume from.
        held_out: validation examples, if the recipe has any.
    """

    recipe: Recipe
    distributed: Distributed
    learner: Learner
    objective: Objective
    optimizers: list[torch.optim.Optimizer]
    batch_at: BatchAt
    states: StateFolder
    held_out: HeldOut | None = None


def train(context: TrainingContext, open_record: Callable[[int], Record | None]) -> None:
    """Run the remaining updates, and leave the final weights in the learner.

    The last state stays on disk, because the checkpoint is not written yet.

    Args:
        context: inputs of the loop.
        open_record: opens the record, given the number of finished updates; returns None on every
            process but the main one.

    Raises:
        ConfigError: the state on disk belongs to another recipe.
        TransientError: a state cannot be written.
    """
    patience = Patience()
    first = _resume(context, patience)
    steps, every = context.recipe.optimiser.steps, context.recipe.hardware.save_every
    record = open_record(first)
    with record or nullcontext():
        for step in range(first, steps):
            if patience.stopped:
                break
            started = time.monotonic()
            metrics = update(context, step)
            metrics["seconds"] = time.monotonic() - started
            _validate(context, step + 1, patience, metrics)
            if record is not None:
                record.update(step + 1, metrics)
            if (step + 1) % every == 0 or step + 1 == steps or patience.stopped:
                _save(context, step + 1, patience)
    if (
        context.recipe.validation is not None
        and context.recipe.validation.patience
        and patience.best < math.inf
    ):
        snapshot.load_weights(context.learner, context.states.load_best())


def update(context: TrainingContext, step: int) -> dict[str, float]:
    """Run one update and return its metrics."""
    recipe, hardware, distributed = context.recipe.optimiser, context.recipe.hardware, context.distributed
    context.learner.train()
    rate = learning_rate(recipe, step)
    for optimizer in context.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
    torch.manual_seed(recipe.seed * 1_000_003 + step)  # for dropout
    noise = Noise(recipe.seed, step)
    with _forward_precision(context):
        shares = context.objective.shares(
            [
                (context.batch_at(step, rows).to(distributed.device), noise.advanced_by(rows.start))
                for rows in distributed.rows(recipe.batch, hardware.micro_batch)
            ]
        )
    counts = distributed.all_reduce(_summed_by_name(share.counts for share in shares))
    loss, tokens, metrics = 0.0, 0.0, []
    for share in shares:
        part, seen = _backward(context, share, counts)
        loss, tokens = loss + part, tokens + share.tokens
        metrics.append(seen)
    _average_copies(context)
    norm = _clip(context, recipe)
    for optimizer in context.optimizers:
        optimizer.step()
    averages = _averages(distributed, {"loss": loss, "tokens": tokens}, metrics)
    return {**averages, "gradient_norm": norm, "learning_rate": rate}


def _backward(context: TrainingContext, share: Share, counts: dict[str, float]) -> tuple[float, Metrics]:
    with _forward_precision(context):
        sums, metrics = context.learner(share)
        loss = total(sums, counts)
    # The factor: processes average their gradients, but their losses are parts of one sum.
    (loss * context.distributed.size).backward()
    return loss.item(), metrics


def _average_copies(context: TrainingContext) -> None:
    """Average the gradients of copies over all processes; FSDP has averaged those of shards."""
    gradients = [p.grad for p in snapshot.trained(context.learner).values() if p.grad is not None]
    context.distributed.average([gradient for gradient in gradients if not isinstance(gradient, DTensor)])


def _forward_precision(context: TrainingContext) -> Any:
    is_half = context.recipe.hardware.precision == "bfloat16"
    return torch.autocast(context.distributed.device.type, torch.bfloat16, enabled=is_half)


def _clip(context: TrainingContext, recipe: OptimiserRecipe) -> float:
    parameters = list(snapshot.trained(context.learner).values())
    norm: Tensor = torch.nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _summed_by_name(parts: Any) -> dict[str, float]:
    added: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            added[name] = added.get(name, 0.0) + value
    return added


def _averages(distributed: Distributed, sums: dict[str, float], metrics: list[Metrics]) -> dict[str, float]:
    """Return the sums and the averaged metrics, both over all processes."""
    sums_by_name = _summed_by_name({name: pair[0] for name, pair in pairs.items()} for pairs in metrics)
    counts_by_name = _summed_by_name(
        {f"/{name}": pair[1] for name, pair in pairs.items()} for pairs in metrics
    )
    added = distributed.all_reduce({**sums, **sums_by_name, **counts_by_name})
    return {name: added[name] for name in sums} | {
        name: added[name] / max(1.0, added[f"/{name}"]) for name in sums_by_name
    }


def learning_rate(recipe: OptimiserRecipe, step: int) -> float:
    """Return the learning rate of an update: linear warm-up, then cosine decay."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    progress = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return recipe.learning_rate * (recipe.final_fraction + (1 - recipe.final_fraction) * cosine)


def _validate(context: TrainingContext, done: int, patience: Patience, metrics: dict[str, float]) -> None:
    recipe = context.recipe.validation
    if recipe is None or context.held_out is None or done % recipe.every:
        return
    with _forward_precision(context):
        metrics["validation_loss"] = context.held_out.loss(context.learner, context.objective)
    if patience.see(metrics["validation_loss"], recipe) and recipe.patience:
        best = snapshot.weights_of(context.learner)
        if context.distributed.is_main:
            context.states.save_best(best)


def _save(context: TrainingContext, done: int, patience: Patience) -> None:
    weights, optimisers = snapshot.weights_of(context.learner), snapshot.optimizer_states(context.optimizers)
    if context.distributed.is_main:
        context.states.save(
            {"step": done, "weights": weights, "optimisers": optimisers, "patience": patience.as_dict()}
        )
    context.distributed.barrier()


def _resume(context: TrainingContext, patience: Patience) -> int:
    state = context.states.load()
    if state is None:
        return 0
    snapshot.load_weights(context.learner, state["weights"])
    snapshot.load_optimizers(context.optimizers, state["optimisers"])
    for name, value in state["patience"].items():
        setattr(patience, name, value)
    return int(state["step"])
