"""The one training loop: any objective, on one process or many, with exact resume.

Order and noise of an update are functions of (seed, update), and the state is saved whole, so that a run
that was killed goes on to the same weights.
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

from training.distributed import World
from training.examples.collate import Batch
from training.loop import snapshot
from training.loop.record import Record
from training.loop.state import StateFolder
from training.loop.validation import HeldOut, Patience
from training.objectives.noise import Noise
from training.objectives.objective import Figures, Learner, Objective, Share, total
from training.recipe import OptimiserRecipe, Recipe

BatchAt = Callable[[int, range], Batch]
"""Gives rows of an update's batch, by the update's number."""


@dataclass(frozen=True, slots=True)
class Run:
    """What goes on in one run.

    Attributes:
        recipe: all that was decided.
        world: the processes.
        learner: what is trained, in place.
        objective: gives the loss.
        steppers: the optimisers.
        batch_at: gives the examples.
        states: where to go on from.
        held_out: looked at now and then, if the recipe says so.
    """

    recipe: Recipe
    world: World
    learner: Learner
    objective: Objective
    steppers: list[torch.optim.Optimizer]
    batch_at: BatchAt
    states: StateFolder
    held_out: HeldOut | None = None


def train(run: Run, record_from: Callable[[int], Record | None]) -> None:
    """Run the updates that are still to do, and leave the learner with the final weights.

    The last state stays on disk, since the checkpoint is not written yet.

    Args:
        run: what goes on.
        record_from: opens the record, given how many updates are done; none on processes that do not lead.

    Raises:
        ConfigError: the state on disk is another recipe's.
        TransientError: a state cannot be written.
    """
    patience = Patience()
    first = _resume(run, patience)
    steps, every = run.recipe.optimiser.steps, run.recipe.hardware.save_every
    record = record_from(first)
    with record or nullcontext():
        for step in range(first, steps):
            if patience.stopped:
                break
            started = time.monotonic()
            figures = update(run, step)
            figures["seconds"] = time.monotonic() - started
            _validate(run, step + 1, patience, figures)
            if record is not None:
                record.update(step + 1, figures)
            if (step + 1) % every == 0 or step + 1 == steps or patience.stopped:
                _save(run, step + 1, patience)
    if run.recipe.validation is not None and run.recipe.validation.patience and patience.best < math.inf:
        snapshot.load_weights(run.learner, run.states.load_best())


def update(run: Run, step: int) -> dict[str, float]:
    """Make one update; return its figures."""
    optimiser, hardware, world = run.recipe.optimiser, run.recipe.hardware, run.world
    run.learner.train()
    rate = learning_rate(optimiser, step)
    for stepper in run.steppers:
        for group in stepper.param_groups:
            group["lr"] = rate
        stepper.zero_grad(set_to_none=True)
    torch.manual_seed(optimiser.seed * 1_000_003 + step)  # of dropout
    noise = Noise(optimiser.seed, step)
    with _forward_precision(run):
        shares = run.objective.shares(
            [
                (run.batch_at(step, rows).to(world.device), noise.behind(rows.start))
                for rows in world.rows(optimiser.batch, hardware.micro_batch)
            ]
        )
    counts = world.add_up(_added(share.counts for share in shares))
    loss, tokens, figures = 0.0, 0.0, []
    for share in shares:
        part, seen = _backward(run, share, counts)
        loss, tokens = loss + part, tokens + share.tokens
        figures.append(seen)
    _average_copies(run)
    norm = _clip(run, optimiser)
    for stepper in run.steppers:
        stepper.step()
    averages = _averages(world, {"loss": loss, "tokens": tokens}, figures)
    return {**averages, "gradient_norm": norm, "learning_rate": rate}


def _backward(run: Run, share: Share, counts: dict[str, float]) -> tuple[float, Figures]:
    with _forward_precision(run):
        sums, figures = run.learner(share)
        loss = total(sums, counts)
    # Gradients are averaged over the processes; here they are parts of one sum.
    (loss * run.world.size).backward()  # type: ignore[no-untyped-call]
    return loss.item(), figures


def _average_copies(run: Run) -> None:
    """Average the gradients of processes that hold a copy each; those of shards are averaged already."""
    gradients = [p.grad for p in snapshot.trained(run.learner).values() if p.grad is not None]
    run.world.average([each for each in gradients if not isinstance(each, DTensor)])


def _forward_precision(run: Run) -> Any:
    is_half = run.recipe.hardware.precision == "bfloat16"
    return torch.autocast(run.world.device.type, torch.bfloat16, enabled=is_half)


def _clip(run: Run, recipe: OptimiserRecipe) -> float:
    parameters = list(snapshot.trained(run.learner).values())
    norm: Tensor = torch.nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _added(parts: Any) -> dict[str, float]:
    added: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            added[name] = added.get(name, 0.0) + value
    return added


def _averages(world: World, sums: dict[str, float], figures: list[Figures]) -> dict[str, float]:
    """Return sums over all processes, and figures divided by their counts."""
    above = _added({name: pair[0] for name, pair in each.items()} for each in figures)
    below = _added({f"/{name}": pair[1] for name, pair in each.items()} for each in figures)
    added = world.add_up({**sums, **above, **below})
    return {name: added[name] for name in sums} | {
        name: added[name] / max(1.0, added[f"/{name}"]) for name in above
    }


def learning_rate(recipe: OptimiserRecipe, step: int) -> float:
    """Return the learning rate of an update: linear warm-up, then a cosine to the final fraction."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    cosine = (1 + math.cos(math.pi * done)) / 2
    return recipe.learning_rate * (recipe.final_fraction + (1 - recipe.final_fraction) * cosine)


def _validate(run: Run, done: int, patience: Patience, figures: dict[str, float]) -> None:
    recipe = run.recipe.validation
    if recipe is None or run.held_out is None or done % recipe.every:
        return
    with _forward_precision(run):
        figures["validation_loss"] = run.held_out.loss(run.learner, run.objective)
    if patience.see(figures["validation_loss"], recipe) and recipe.patience:
        best = snapshot.weights_of(run.learner)
        if run.world.leads:
            run.states.save_best(best)


def _save(run: Run, done: int, patience: Patience) -> None:
    weights, optimisers = snapshot.weights_of(run.learner), snapshot.optimisers_of(run.steppers)
    if run.world.leads:
        run.states.save(
            {"step": done, "weights": weights, "optimisers": optimisers, "patience": patience.as_dict()}
        )
    run.world.wait()


def _resume(run: Run, patience: Patience) -> int:
    state = run.states.load()
    if state is None:
        return 0
    snapshot.load_weights(run.learner, state["weights"])
    snapshot.load_optimisers(run.steppers, state["optimisers"])
    for name, value in state["patience"].items():
        setattr(patience, name, value)
    return int(state["step"])
