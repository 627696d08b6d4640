"""From variants to training runs: each checkpoint has a folder named by all that decides it.

Two variants that come to the same recipes, one behind the other, have the same folder and are trained once.
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
"""Of the phantoms that everything is measured on."""

_KEY_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Changes:
    """What the command line changes in a plan.

    Attributes:
        overrides: `section.name=value` each, of every recipe.
        steps: updates by stage.
        taken: checkpoints made elsewhere, by the variant in whose place they stand.
    """

    overrides: tuple[str, ...] = ()
    steps: Mapping[str, int] = field(default_factory=dict)
    taken: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One stage to train, behind the one that it starts from.

    Attributes:
        stage: of the recipe.
        recipe: its name or file.
        overrides: all changes to it.
        steps: its updates.
        seed: of order, noise and initial weights.
        key: tells it from all others; two runs of one key give the same checkpoint.
        folder: of the checkpoint.
        parent: what it starts from.
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
        """What it is called on disk."""
        return f"{self.stage}-seed{self.seed}-{self.key}"

    @property
    def is_finished(self) -> bool:
        """Whether its checkpoint is there whole."""
        return is_written(self.folder)

    @property
    def chain(self) -> list[TrainingRun]:
        """The runs that lead here, this one last."""
        return [*(self.parent.chain if self.parent else []), self]

    def train(self) -> None:
        """Train this stage; what an interrupted run has done is kept."""
        run_stage(self.stage, self.recipe, self.folder, self.overrides)


class Runs:
    """The runs of a plan."""

    def __init__(self, plan: AblationPlan, changes: Changes, out: Path) -> None:
        """Prepare to lay out runs; nothing is trained here.

        Args:
            plan: the variants.
            changes: to all of them.
            out: the folder of everything that is written.
        """
        self._plan, self._changes, self._out = plan, changes, out.resolve()
        self._of = cache(self._lay_out)

    def of(self, name: str, seed: int) -> TrainingRun:
        """Return the run that ends a variant's chain.

        Raises:
            ConfigError: a recipe is wrong with its changes, or a checkpoint to take is not there.
        """
        pinned = self._plan.variants[name].seed
        return self._of(name, seed if pinned is None else pinned)

    def _lay_out(self, name: str, seed: int) -> TrainingRun:
        variant = self._plan.variants[name]
        if name in self._changes.taken:
            return self._take(name)
        parent = self.of(variant.after, seed) if variant.after else None
        overrides = self._overrides(variant, seed)
        recipe = load_recipe(variant.recipe, overrides)
        if parent:
            takes = "start_vision" if recipe.model.start_vision and not recipe.model.start else "start"
            recipe = load_recipe(variant.recipe, [*overrides, f"model.{takes}={json.dumps(parent.key)}"])
            overrides.append(f"model.{takes}={json.dumps(str(parent.folder))}")
        if recipe.data.source == "phantom" and recipe.data.seed == CASES_SEED:
            raise ConfigError(f"variant '{name}' trains on data.seed {CASES_SEED}, which it is measured on")
        key = _key(recipe)
        folder = self._out / "runs" / f"{recipe.stage}-seed{seed}-{key}"
        steps = recipe.optimiser.steps
        return TrainingRun(recipe.stage, variant.recipe, tuple(overrides), steps, seed, key, folder, parent)

    def _overrides(self, variant: Variant, seed: int) -> list[str]:
        """Return all changes to a recipe but what it starts from."""
        overrides = [*self._changes.overrides, *variant.change, f"optimiser.seed={seed}"]
        recipe = load_recipe(variant.recipe, overrides)
        if variant.data_share < 1:
            overrides.append(f"data.count={max(1, round(variant.data_share * recipe.data.count))}")
        if recipe.stage in self._changes.steps:
            overrides.append(f"optimiser.steps={self._changes.steps[recipe.stage]}")
        return overrides

    def _take(self, name: str) -> TrainingRun:
        variant, folder = self._plan.variants[name], self._changes.taken[name].resolve()
        if not is_written(folder):
            raise ConfigError(f"--take {name}={folder}: no checkpoint of a training run is there")
        recipe = Recipe.model_validate_json((folder / "recipe.json").read_text(encoding="utf-8"))
        key = checkpoint.digest(folder)[:_KEY_LENGTH]
        return TrainingRun(recipe.stage, variant.recipe, (), 0, recipe.optimiser.seed, key, folder)


def in_order(ends: Sequence[TrainingRun]) -> list[TrainingRun]:
    """Return every run that leads to *ends*, once each, behind what it starts from."""
    return list({run.key: run for end in ends for run in end.chain}.values())


def _key(recipe: Recipe) -> str:
    """Return what decides the weights: everything but names and the machine."""
    decisive = recipe.model_dump_json(exclude={"hardware": True, "model": {"name", "version"}})
    return hashlib.sha256(decisive.encode()).hexdigest()[:_KEY_LENGTH]
