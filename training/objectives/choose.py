"""Construction of a recipe's objective."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from echo_node.inference.prompt import prompt_ids
from echo_node.model import checkpoint
from training.distributed import Distributed
from training.objectives.ar import ArObjective
from training.objectives.dcd import DcdObjective, TargetSource, streamed_targets
from training.objectives.objective import Objective
from training.objectives.rad import RadObjective
from training.objectives.rollout_cache import RolloutCache, folder_name
from training.objectives.vision import VisionObjective
from training.objectives.with_findings_probe import WithFindingsProbe
from training.phantom.findings import FACTS
from training.recipe import Recipe
from training.start.start import Start, examples_key, teacher_of

ObjectiveMaker = Callable[[Recipe, Start, Distributed, Path], Objective]
"""Constructor of a run's objective, from recipe, network, processes and folder."""


def make_objective(plan: Recipe, started: Start, distributed: Distributed, folder: Path) -> Objective:
    """Return the objective of a recipe.

    Args:
        plan: recipe of the run.
        started: network to train.
        distributed: processes of the run.
        folder: folder of the run, in which rollouts are cached.

    Raises:
        ConfigError: a `dcd` recipe has no teacher.
        CheckpointError: the teacher cannot be loaded.
    """
    values = [len(values) for values in FACTS.values()]
    if plan.stage == "vision":
        return VisionObjective(started.model, _image_tokens(plan, started), values)
    objective = _language_objective(plan, started, distributed, folder)
    if not plan.reading.weight:
        return objective
    return WithFindingsProbe(objective, started.model, values, plan.reading.weight)


def _language_objective(plan: Recipe, started: Start, distributed: Distributed, folder: Path) -> Objective:
    model, rows = started.model, plan.hardware.row_tokens
    if plan.stage == "ar":
        return ArObjective(model, rows)
    if plan.stage == "rad":
        return RadObjective(model, plan.rad, rows)
    return DcdObjective(model, _target_source(plan, started, distributed, folder), plan.dcd, plan.rad, rows)


def _target_source(plan: Recipe, started: Start, distributed: Distributed, folder: Path) -> TargetSource:
    """Return the source of the teacher's rollouts: the teacher, or the cache of its rollouts."""
    teacher = checkpoint.load(teacher_of(plan))
    # On a CPU, bfloat16 would not make the teacher faster.
    is_half = plan.hardware.precision == "bfloat16" and distributed.device.type == "cuda"
    network = teacher.model.to(distributed.device, torch.bfloat16 if is_half else torch.float32)  # type: ignore[arg-type]
    streamed = streamed_targets(started.model, network, plan.dcd)
    if not plan.dcd.cache:
        return streamed
    data = examples_key(plan, started)
    cache = Path(plan.hardware.kept_in or folder) / "rollouts" / folder_name(teacher.digest, plan.dcd, data)
    prompt = len(prompt_ids(started.tokenizer, _image_tokens(plan, started)))
    min_length = plan.model.block_length - prompt % plan.model.block_length
    eos_id, at_once = started.model.config.end_of_sequence, plan.hardware.rollout_batch
    return RolloutCache(streamed, cache, eos_id, min_length, at_once)


def _image_tokens(plan: Recipe, started: Start) -> int:
    """Return the number of tokens of an image of the recipe's size."""
    grid_thw = started.preparation.grid(1, plan.data.side, plan.data.side)
    return started.preparation.tokens(grid_thw[0])
