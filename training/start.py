"""What a run starts from: a network with its tokeniser and preparation, the teacher, the examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from echo_node.errors import ConfigError
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.vlm import EchoForReportGeneration
from training.data import PhantomExamples
from training.new_model import new_model
from training.phantom.dataset import PhantomDataset
from training.recipe import Recipe
from training.tokenizer import train_tokenizer


@dataclass(frozen=True, slots=True)
class Start:
    """A network before its first update."""

    model: EchoForReportGeneration
    tokenizer: Any
    preparation: ImagePreparation


def start(plan: Recipe) -> Start:
    """Load or make the network that a recipe starts from.

    Raises:
        ConfigError: the recipe names nothing to start from, or takes what does not fit.
        CheckpointError: the model to start from cannot be loaded.
    """
    if plan.model.start:
        started = checkpoint.load(plan.model.start, adopt_block_length=plan.model.block_length)
        if started.model.config.block_length != plan.model.block_length:
            raise ConfigError(
                f"model.block_length is {plan.model.block_length}, "
                f"but {plan.model.start} has {started.model.config.block_length}"
            )
        return Start(started.model, started.tokenizer, ImagePreparation.load(started.folder))
    if plan.model.new is None:
        raise ConfigError("a recipe needs model.start or a section model.new")
    words = PhantomDataset(4000, plan.data.seed)
    tokenizer = train_tokenizer(
        (words.truth(index)[1].text for index in range(len(words))), plan.model.new.vocabulary
    )
    model = new_model(plan.model.new, tokenizer, plan.model.block_length, plan.optimiser.seed)
    if plan.model.start_vision:
        _take_vision_tower(model, plan.model.start_vision)
    return Start(model, tokenizer, ImagePreparation(resize="square", side=plan.data.side))


def _take_vision_tower(model: EchoForReportGeneration, origin: str) -> None:
    tower = checkpoint.load(origin).model.model.visual.state_dict()
    try:
        model.model.visual.load_state_dict(tower)
    except RuntimeError as error:
        raise ConfigError(f"the vision tower of {origin} has other dimensions than model.new") from error


def teacher_of(plan: Recipe) -> str:
    """Return the name or folder of the teacher of a `dcd` recipe.

    Raises:
        ConfigError: the recipe has none.
    """
    if not (plan.dcd.teacher or plan.model.start):
        raise ConfigError("dcd needs model.start: the teacher to distil")
    return plan.dcd.teacher or plan.model.start


def examples_of(plan: Recipe, advance: Callable[[int], None] | None = None) -> PhantomExamples:
    """Return the examples of a recipe."""
    return PhantomExamples(plan.data.count, plan.data.seed, plan.data.side, advance)
