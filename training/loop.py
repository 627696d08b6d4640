"""The one training loop: any objective, exact resume, progress, metrics.

Order and noise of an update are functions of (seed, update), and the state is saved whole, so that a run
that was killed goes on to the same weights.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from echo_node.model.vlm import EchoForReportGeneration
from training.collate import Batch
from training.optimiser import optimisers
from training.recipe import OptimiserRecipe

STATE_FILE = "state.pt"
METRICS_FILE = "metrics.jsonl"


class Objective(Protocol):
    """What is minimised.

    Attributes:
        own: what the objective learns for itself, beside the model; it is not part of the checkpoint.
    """

    own: nn.ModuleDict

    def loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch and figures worth logging."""
        ...


def train(
    model: EchoForReportGeneration,
    objective: Objective,
    batch_at: Callable[[int], Batch],
    recipe: OptimiserRecipe,
    folder: Path,
    *,
    save_every: int = 200,
) -> None:
    """Run the updates that are still to do, and leave the model with the final weights.

    Args:
        model: trained in place.
        objective: gives the loss.
        batch_at: gives the batch of an update, by its number.
        recipe: updates, learning rate, clipping.
        folder: gets `metrics.jsonl` and the state to resume from.
        save_every: updates between two saved states.
    """
    model.model.visual.requires_grad_(recipe.train_vision)
    learner = nn.ModuleList([model, objective.own])
    steppers = optimisers(learner, recipe)
    first = _resume(learner, steppers, folder)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    metrics_path = folder / METRICS_FILE
    with Progress(*columns) as progress, metrics_path.open("a", 1, encoding="utf-8") as metrics:
        bar = progress.add_task("training", total=recipe.steps, completed=first, figures="")
        for step in range(first, recipe.steps):
            started = time.monotonic()
            figures = _update(learner, objective, batch_at(step), steppers, recipe, step)
            figures["seconds"] = time.monotonic() - started
            metrics.write(json.dumps({"step": step + 1, **figures}) + "\n")
            shown = "  ".join(f"{name} {value:.3g}" for name, value in figures.items())
            progress.update(bar, advance=1, figures=shown)
            if (step + 1) % save_every == 0 and step + 1 < recipe.steps:
                metrics.flush()
                _save(learner, steppers, folder, step + 1)
    (folder / STATE_FILE).unlink(missing_ok=True)


def last_figures(folder: Path) -> dict[str, float]:
    """Return the figures of the last update that a run logged."""
    lines = (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()
    figures: dict[str, float] = json.loads(lines[-1])
    return figures


def _update(
    learner: nn.Module,
    objective: Objective,
    batch: Batch,
    steppers: list[torch.optim.Optimizer],
    recipe: OptimiserRecipe,
    step: int,
) -> dict[str, float]:
    learner.train()
    for stepper in steppers:
        for group in stepper.param_groups:
            group["lr"] = learning_rate(recipe, step)
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    loss, figures = objective.loss(batch, generator)
    learner.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [p for p in learner.parameters() if p.requires_grad]
    norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
    for stepper in steppers:
        stepper.step()
    return {"loss": loss.item(), **figures, "gradient_norm": norm.item()}


def learning_rate(recipe: OptimiserRecipe, step: int) -> float:
    """Return the learning rate of an update: linear warm-up, then a cosine to the final fraction."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    cosine = (1 + math.cos(math.pi * done)) / 2
    return recipe.learning_rate * (recipe.final_fraction + (1 - recipe.final_fraction) * cosine)


def _save(learner: nn.Module, steppers: list[torch.optim.Optimizer], folder: Path, step: int) -> None:
    partial = folder / f"{STATE_FILE}.part"
    optimisers_state = [stepper.state_dict() for stepper in steppers]
    torch.save({"step": step, "learner": learner.state_dict(), "optimisers": optimisers_state}, partial)
    partial.replace(folder / STATE_FILE)


def _resume(learner: nn.Module, steppers: list[torch.optim.Optimizer], folder: Path) -> int:
    path = folder / STATE_FILE
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    learner.load_state_dict(state["learner"])
    for stepper, saved in zip(steppers, state["optimisers"], strict=True):
        stepper.load_state_dict(saved)
    return int(state["step"])
