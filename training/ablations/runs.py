"""Training runs of variants. The folder of a checkpoint is named after a digest of its recipes.

Two variants that lead to the same sequence of recipes share a folder and are trained once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from echo_node.errors import ConfigError
from echo_node.model import checkpoint
from training.ablations.plan import AblationPlan, Variant
from training.loop.run import is_written, run_stage
from training.recipe import Recipe, load_recipe

CASES_SEED = 7
"""Random seed of the phantoms to measure on."""

_KEY_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes to a plan, from the command line.

    Attributes:
        overrides: changes to every recipe, as `section.name=value`.
        steps: number of updates by stage.
        taken: checkpoints made elsewhere, by the variant that they replace.
    """

    overrides: tuple[str, ...] = ()
    steps: Mapping[str, int] = field(default_factory=dict)
    taken: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One stage to train, after the run that it starts from.

    Attributes:
        stage: stage of the recipe.
        recipe: name or file of the recipe.
        overrides: all changes to the recipe.
        steps: number of updates.
        seed: random seed of data order, noise and initial weights.
        key: digest of everything that determines the weights; equal keys mean equal weights.
        folder: folder of the checkpoint.
        parent: run that this one starts from.
    """

    stage: Literal["vision", "ar", "rad", "dcd"]
    recipe: str
    overrides: tuple[str, ...]
    steps: int
    seed: int
    key: str
    folder: Path
    parent: TrainingRun | None = None

    @property
    def name(self) -> str:
        """Name of the run on disk."""
        return f"{self.stage}-seed{self.seed}-{self.key}"

    @property
    def is_finished(self) -> bool:
        """Whether the checkpoint is complete."""
        return is_written(self.folder)

    @property
    def chain(self) -> list[TrainingRun]:
        """Runs that lead to this one, which is the last."""
        return [*(self.parent.chain if self.parent else []), self]

    def train(self) -> None:
        """Train this stage, continuing an interrupted run."""
        run_stage(self.stage, self.recipe, self.folder, self.overrides)


class Runs:
    """Training runs of a plan."""

    def __init__(self, plan: AblationPlan, changes: Changes, out: Path) -> None:
        """Prepare the runs of a plan, without training anything.

        Args:
            plan: plan with the variants.
            changes: changes to all variants.
            out: output folder.
        """
        self._plan, self._changes, self._out = plan, changes, out.resolve()
        self._of = cache(self._prepare)

    def of(self, name: str, seed: int) -> TrainingRun:
        """Return the last run of a variant.

        Raises:
            ConfigError: a recipe with its changes is invalid, or a checkpoint to take is missing.
        """
        pinned = self._plan.variants[name].seed
        return self._of(name, seed if pinned is None else pinned)

    def _prepare(self, name: str, seed: int) -> TrainingRun:
        variant = self._plan.variants[name]
        if name in self._changes.taken:
            return self._taken_run(name)
        parent = self.of(variant.after, seed) if variant.after else None
        overrides = self._overrides(variant, seed)
        recipe = load_recipe(variant.recipe, overrides)
        if parent:
            start_key = "start_vision" if recipe.model.start_vision and not recipe.model.start else "start"
            recipe = load_recipe(variant.recipe, [*overrides, f"model.{start_key}={json.dumps(parent.key)}"])
            overrides.append(f"model.{start_key}={json.dumps(str(parent.folder))}")
        if recipe.data.source == "phantom" and recipe.data.seed == CASES_SEED:
            raise ConfigError(f"variant '{name}' trains on data.seed {CASES_SEED}, which is held out")
        key = _key(recipe)
        folder = self._out / "runs" / f"{recipe.stage}-seed{seed}-{key}"
        steps = recipe.optimiser.steps
        return TrainingRun(recipe.stage, variant.recipe, tuple(overrides), steps, seed, key, folder, parent)

    def _overrides(self, variant: Variant, seed: int) -> list[str]:
        """Return all changes to a recipe, except for its start."""
        overrides = [*self._changes.overrides, *variant.change, f"optimiser.seed={seed}"]
        recipe = load_recipe(variant.recipe, overrides)
        if variant.data_share < 1:
            overrides.append(f"data.count={max(1, round(variant.data_share * recipe.data.count))}")
        if recipe.stage in self._changes.steps:
            overrides.append(f"optimiser.steps={self._changes.steps[recipe.stage]}")
        return overrides

    def _taken_run(self, name: str) -> TrainingRun:
        variant, folder = self._plan.variants[name], self._changes.taken[name].resolve()
        if not is_written(folder):
            raise ConfigError(f"--take {name}={folder}: there is no checkpoint of a training run")
        recipe = Recipe.model_validate_json((folder / "recipe.json").read_text(encoding="utf-8"))
        key = checkpoint.digest(folder)[:_KEY_LENGTH]
        return TrainingRun(recipe.stage, variant.recipe, (), 0, recipe.optimiser.seed, key, folder)


def in_order(ends: Sequence[TrainingRun]) -> list[TrainingRun]:
    """Return every run that leads to *ends*, once each, after the run that it starts from."""
    return list({run.key: run for end in ends for run in end.chain}.values())


def _key(recipe: Recipe) -> str:
    """Return a digest of a recipe without names and hardware, which do not affect the weights."""
    decisive = recipe.model_dump_json(exclude={"hardware": True, "model": {"name", "version"}})
    return hashlib.sha256(decisive.encode()).hexdigest()[:_KEY_LENGTH]
