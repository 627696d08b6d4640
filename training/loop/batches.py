"""Batches of a run: the examples of each update, and their tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from echo_node.errors import ConfigError
from training.distributed import Distributed
from training.examples.collate import Batch, collate
from training.examples.examples import Examples, Images, batch_indices, jitter
from training.examples.feature_cache import FeatureCache
from training.loop.validation import HeldOut
from training.objectives.noise import Noise
from training.recipe import Recipe
from training.start.start import Start, examples_key, examples_of


@dataclass(frozen=True, slots=True)
class Batches:
    """Batches of all updates.

    Attributes:
        plan: recipe, which decides order and jitter.
        examples: all examples.
        started: tokeniser and preparation.
        features: cache of a frozen vision tower's output, if the recipe has one.
    """

    plan: Recipe
    examples: Examples
    started: Start
    features: FeatureCache | None = None

    def __call__(self, step: int, rows: range) -> Batch:
        """Return the given rows of the batch of update *step*."""
        seed = self.plan.optimiser.seed
        drawn, epoch = batch_indices(len(self.examples), self.plan.optimiser.batch, step, seed)
        indices = self._shortest_first(drawn, epoch)[rows.start : rows.stop]
        images = self.examples.images(indices)
        if self.plan.data.jitter:
            images = jitter(images, [(seed, step, place) for place in rows])
        batch = _collated(self.plan, self.examples, self.started, indices, images, epoch)
        return batch if self.features is None else self.features.add_to(batch, indices)

    def _shortest_first(self, indices: list[int], epoch: int) -> list[int]:
        """Sort examples by length of report, so that each forward pass has similar lengths."""
        return sorted(indices, key=lambda index: len(self.examples.report(index, epoch)))


def open_feature_cache(plan: Recipe, started: Start, folder: Path) -> FeatureCache | None:
    """Return the cache of vision features that a recipe configures; None if it has none."""
    if plan.hardware.keep_vision == "no":
        return None
    on_disk = plan.hardware.keep_vision == "disk"
    return FeatureCache(
        started.model,
        examples_key(plan, started),
        Path(plan.hardware.kept_in or folder) / "features" if on_disk else None,
    )


def held_out(plan: Recipe, started: Start, distributed: Distributed) -> HeldOut | None:
    """Return this process's part of the held-out examples; None if the recipe has no validation.

    Raises:
        ConfigError: the examples cannot be divided evenly among the processes.
    """
    recipe = plan.validation
    if recipe is None:
        return None
    if recipe.count % distributed.size:
        raise ConfigError(
            f"validation.count of {recipe.count} cannot be divided evenly among {distributed.size} processes"
        )
    held_out_data = plan.data.model_copy(
        update={"count": recipe.count, "seed": recipe.seed, "split": recipe.split}
    )
    examples = examples_of(held_out_data, started.preparation, cache_folder=plan.hardware.kept_in)
    share = recipe.count // distributed.size
    mine = range(distributed.rank * share, (distributed.rank + 1) * share)
    size = plan.hardware.micro_batch or -(-plan.optimiser.batch // distributed.size)
    batches = []
    for at in range(0, len(mine), size):
        indices = list(mine[at : at + size])
        batch = _collated(plan, examples, started, indices, examples.images(indices), 0)
        batches.append(batch.to(distributed.device))
    return HeldOut(batches, distributed, Noise(plan.optimiser.seed, first=mine.start))


def _collated(
    plan: Recipe, examples: Examples, started: Start, indices: Sequence[int], images: Images, epoch: int
) -> Batch:
    reports = [examples.report(index, epoch) for index in indices]
    findings = [examples.findings(index) for index in indices]
    batch = collate(
        images, reports, findings, started.preparation, started.tokenizer, plan.model.block_length
    )
    return replace(batch, index_N=torch.tensor(indices))
