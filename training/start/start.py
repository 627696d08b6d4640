"""Start of a run: a network with its tokeniser and preparation, the teacher, the examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from echo_node.errors import ConfigError
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.report_generation import EchoForReportGeneration
from training.examples.examples import Examples, PhantomExamples
from training.phantom.dataset import PhantomDataset
from training.recipe import DataRecipe, Recipe
from training.start.new_model import new_model
from training.start.tokenizer import train_tokenizer


@dataclass(frozen=True, slots=True)
class Start:
    """Network before its first update, with its tokeniser and image preparation."""

    model: EchoForReportGeneration
    tokenizer: Any
    preparation: ImagePreparation


def start(plan: Recipe) -> Start:
    """Load or create the network that a recipe starts from.

    Raises:
        ConfigError: the recipe names no model to start from, or a checkpoint that does not fit.
        CheckpointError: the checkpoint cannot be loaded.
    """
    if plan.model.start:
        started = checkpoint.load(plan.model.start, adopt_block_length=plan.model.block_length)
        own = started.model.config.block_length
        if plan.stage == "dcd" and own != plan.model.block_length:
            raise ConfigError(
                f"model.block_length is {plan.model.block_length}, but {plan.model.start} has {own}: "
                "only the stage rad can change the block length of a model"
            )
        started.model.config.block_length = plan.model.block_length
        return Start(started.model, started.tokenizer, _square_preparation(started.folder, plan.data.side))
    if plan.model.new is None:
        raise ConfigError("the recipe names no model to start from: set model.start, or add [model.new]")
    preparation = ImagePreparation(resize="square", side=plan.data.side)
    tokenizer = train_tokenizer(_reports(plan.data, preparation), plan.model.new.vocabulary)
    model = new_model(plan.model.new, tokenizer, plan.model.block_length, plan.optimiser.seed)
    if plan.model.start_vision:
        _copy_vision_tower(model, plan.model.start_vision)
    return Start(model, tokenizer, preparation)


def _square_preparation(folder: Path, side: int) -> ImagePreparation:
    """Return a checkpoint's preparation, changed to the recipe's square size for all images."""
    return replace(ImagePreparation.load(folder), resize="square", side=side)


def _reports(recipe: DataRecipe, preparation: ImagePreparation) -> Iterator[str]:
    """Yield the reports to train a tokeniser on."""
    if recipe.source == "folder":
        folder = examples_of(recipe, preparation)
        yield from (folder.report(index, epoch=0) for index in range(len(folder)))
        return
    phantoms = PhantomDataset(4000, recipe.seed)
    yield from (phantoms.truth(index)[1].text for index in range(len(phantoms)))


def _copy_vision_tower(model: EchoForReportGeneration, origin: str) -> None:
    tower = checkpoint.load(origin).model.model.visual.state_dict()
    try:
        model.model.visual.load_state_dict(tower)
    except RuntimeError as error:
        raise ConfigError(f"the vision tower of {origin} has other dimensions than [model.new]") from error


def examples_key(plan: Recipe, started: Start) -> str:
    """Return a key of the examples of a recipe; cached values are valid for the same key only.

    The number of examples is not part of it, because example 7 is the same in a set of any size.
    """
    return plan.data.model_dump_json(exclude={"count"}) + repr(started.preparation)


def teacher_of(plan: Recipe) -> str:
    """Return the name or folder of the teacher of a `dcd` recipe.

    Raises:
        ConfigError: the recipe has no teacher.
    """
    if not (plan.dcd.teacher or plan.model.start):
        raise ConfigError("the stage dcd needs a teacher: set model.start")
    return plan.dcd.teacher or plan.model.start


def first_teacher_of(plan: Recipe) -> str:
    """Return the first teacher in a chain of `dcd` recipes; evaluation compares the model with it.

    Raises:
        ConfigError: the recipe has no teacher.
        CheckpointError: the teacher cannot be found.
    """
    teacher = teacher_of(plan)
    return checkpoint.facts_of(checkpoint.find_checkpoint(teacher)).teacher or teacher


def examples_of(
    recipe: DataRecipe,
    preparation: ImagePreparation,
    advance: Callable[[int], None] | None = None,
    cache_folder: str = "",
) -> Examples:
    """Return the examples of a recipe.

    Args:
        recipe: data of the recipe.
        preparation: image preparation, which gives images on disk the size for the model.
        advance: called with the number of phantoms that have just become available.
        cache_folder: folder for cached images of phantoms; empty for no cache.

    Raises:
        ConfigError: the folder has no complete data set, or no example of the split.
    """
    if recipe.source == "folder":
        from training.datasets.folder import FolderExamples

        return FolderExamples(Path(recipe.path), recipe.split, preparation, recipe.count)
    phantoms = PhantomDataset(recipe.count, recipe.seed, recipe.side)
    return PhantomExamples(phantoms, advance, Path(cache_folder) / "phantoms" if cache_folder else None)
