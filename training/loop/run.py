"""Run of one stage, from its recipe to its checkpoint; `echo-node train` calls `run_stage`."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from safetensors import SafetensorError
from torch import Tensor

from echo_node.errors import ConfigError, TransientError
from echo_node.model.checkpoint import FACTS_FILE, ModelFacts
from echo_node.model.report_generation import EchoForReportGeneration
from training.distributed import Distributed, join_processes, resolve_precision
from training.loop import loss_curve, snapshot
from training.loop.batches import Batches, held_out, open_feature_cache
from training.loop.model_card import FILE_NAME as CARD
from training.loop.model_card import model_card
from training.loop.optimiser import make_optimizers
from training.loop.record import Record, read_metrics
from training.loop.sharding import needs_whole_network, shard
from training.loop.state import StateFolder
from training.loop.train import TrainingContext, train
from training.objectives.choose import ObjectiveMaker, make_objective
from training.objectives.objective import Learner
from training.recipe import Recipe, load_recipe
from training.start.lora import adapt, merge
from training.start.start import Start, examples_of, first_teacher_of, start

_RECIPE = "recipe.json"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run_stage(
    stage: str,
    recipe: str,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    objective_maker: ObjectiveMaker = make_objective,
) -> Path:
    """Run one stage and write its checkpoint.

    An interrupted run in the folder is resumed, and a finished one is left unchanged. With
    torchrun, every process calls this function.

    Args:
        stage: `vision`, `ar`, `rad` or `dcd`; must be the stage of the recipe.
        recipe: name of a shipped recipe, or path of a file.
        out: folder of the checkpoint and of the run's records; by default `runs/<recipe>`.
        overrides: assignments `section.name=value`.
        objective_maker: constructor of the objective; by default the one that the recipe names.

    Returns:
        The folder of the checkpoint.

    Raises:
        ConfigError: the recipe is invalid, belongs to another stage, or uses a vision tower of
            other dimensions; or the folder has a checkpoint of another recipe.
        CheckpointError: the model to start from cannot be loaded.
        TransientError: the disk is full; everything saved before remains.
    """
    plan = plan_of(stage, recipe, overrides)
    folder = out or Path("runs") / Path(recipe).stem
    folder.mkdir(parents=True, exist_ok=True)
    with join_processes(plan.hardware.device) as distributed:
        console = Console(stderr=True, quiet=not distributed.is_main, markup=False)
        if _is_finished(plan, folder):
            console.print(f"{folder} already has the checkpoint of this recipe")
            return folder
        try:
            resolved = resolve_precision(plan, distributed.device)
            _train(resolved, folder, distributed, console, objective_maker)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise TransientError(
                f"cannot write to {folder} ({error.strerror}); everything saved before remains: free some "
                "space and run the same command again"
            ) from error
    return folder


def plan_of(stage: str, recipe: str, overrides: Sequence[str]) -> Recipe:
    """Read the recipe of a stage.

    Raises:
        ConfigError: the recipe is invalid, or belongs to another stage.
    """
    plan = load_recipe(recipe, list(overrides))
    if plan.stage != stage:
        raise ConfigError(f"recipe '{recipe}' is for the stage '{plan.stage}', not '{stage}'")
    return plan


def is_written(folder: Path) -> bool:
    """Return whether a folder has the checkpoint of a run; model.json is written last."""
    return all((folder / name).is_file() for name in (_RECIPE, "model.safetensors", FACTS_FILE))


def _is_finished(plan: Recipe, folder: Path) -> bool:
    """Return whether a folder has the complete checkpoint of a recipe.

    Raises:
        ConfigError: the folder has the complete checkpoint of another recipe, which the run would
            overwrite.
    """
    if not is_written(folder) or StateFolder.left_in(folder):
        return False
    try:
        stored_recipe = Recipe.model_validate_json((folder / _RECIPE).read_bytes())
    except (OSError, ValueError):  # the recipe is from an earlier version, or the folder is not from a run
        stored_recipe = None
    if stored_recipe is None or _digest(stored_recipe) != _digest(plan):
        raise ConfigError(
            f"{folder} has a checkpoint of another recipe: choose another --out, or remove the folder to "
            "start from scratch"
        )
    return True


def _train(
    plan: Recipe, folder: Path, distributed: Distributed, console: Console, objective_maker: ObjectiveMaker
) -> None:
    if distributed.is_main:
        (folder / _RECIPE).write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
    started = start(plan)
    model = started.model
    prepare(model, plan)
    model.to(distributed.device)  # type: ignore[arg-type]
    torch.manual_seed(plan.optimiser.seed)
    objective = objective_maker(plan, started, distributed, folder)
    learner = Learner(model, objective).to(distributed.device)
    is_sharded = distributed.size > 1 and not needs_whole_network(plan)
    if is_sharded:
        shard(learner, plan, distributed)
    with (
        distributed.main_first(waits=bool(plan.hardware.kept_in)),
        Progress(console=console, transient=True) as progress,
    ):
        bar = progress.add_task("phantoms", total=plan.data.count)
        examples = examples_of(
            plan.data, started.preparation, partial(progress.advance, bar), plan.hardware.kept_in
        )
    parameters = sum(p.numel() for p in model.parameters())
    console.print(
        f"{plan.stage}: {parameters / 1e6:.2f} M parameters, "
        f"{len(examples)} images, {plan.optimiser.steps} updates of {plan.optimiser.batch}"
    )
    states = StateFolder(folder, _digest(plan), console.print)
    context = TrainingContext(
        plan,
        distributed,
        learner,
        objective,
        make_optimizers(learner, plan.optimiser, distributed),
        Batches(plan, examples, started, open_feature_cache(plan, started, folder)),
        states,
        held_out(plan, started, distributed),
    )

    def open_record(first: int) -> Record | None:
        if not distributed.is_main:
            return None
        return Record(folder, first, plan.optimiser.steps, console=console)

    train(context, open_record)
    trained = snapshot.weights_of(learner) if is_sharded else {}
    if distributed.is_main:
        _write(plan, _gathered(plan, trained) if trained else started, folder)
        card = model_card(plan, parameters, read_metrics(folder)[-1])
        (folder / CARD).write_text(card, encoding="utf-8")
        loss_curve.draw(folder, f"{plan.model.name} {plan.model.version}, {plan.stage}", console.print)
        states.clear()
        console.print(f"wrote {folder}")
    distributed.barrier()


def prepare(model: EchoForReportGeneration, plan: Recipe) -> None:
    """Freeze untrained weights, add adapters, and turn on gradient checkpointing, as configured."""
    hardware = plan.hardware
    if plan.lora is not None:
        if hardware.precision == "bfloat16":
            model.to(torch.bfloat16)  # type: ignore[arg-type]
        adapt(model, plan.lora)
    model.model.visual.requires_grad_(plan.optimiser.train_vision)
    if hardware.gradient_checkpointing:
        # transformers 5.24 renamed the method.
        renamed: Any = getattr(model, "activation_checkpointing_enable", None)
        enable = renamed or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})


def _gathered(plan: Recipe, trained: dict[str, Tensor]) -> Start:
    """Return the whole network after sharded training: the start, with the trained weights."""
    whole = start(plan)
    own = {name.removeprefix("model."): value for name, value in trained.items() if name.startswith("model.")}
    whole.model.load_state_dict(own, strict=False)
    return whole


def _digest(plan: Recipe) -> str:
    """Return the digest that a state must match: that of the recipe without its hardware."""
    return hashlib.sha256(plan.model_dump_json(exclude={"hardware"}).encode()).hexdigest()


@torch.no_grad()
def _mix_in_start(model: EchoForReportGeneration, plan: Recipe) -> None:
    """Average the weights with the initial ones, which get the weight `model.start_share`."""
    origin = dict(start(plan).model.named_parameters())
    for name, weight in model.named_parameters():
        weight.lerp_(origin[name].to(weight), plan.model.start_share)


def _write(plan: Recipe, started: Start, folder: Path) -> None:
    """Write the checkpoint, with weights in 16 bits to halve its size.

    Raises:
        TransientError: the disk is full.
    """
    model: EchoForReportGeneration = started.model
    if plan.stage == "ar":  # this model does not write blocks; the next stage sets the block length
        model.config.block_length = 0
    if plan.lora is not None:
        merge(model)
    if plan.model.start_share:
        _mix_in_start(model, plan)
    stored: torch.dtype = getattr(torch, plan.model.stored)
    try:
        model.train(mode=False).to(stored).save_pretrained(folder)
    except SafetensorError as error:
        raise TransientError(
            f"cannot write the weights to {folder}; the last saved state remains: free some space and run "
            "the same command again"
        ) from error
    started.tokenizer.save_pretrained(folder)
    started.preparation.save(folder)
    teacher = first_teacher_of(plan) if plan.stage == "dcd" else ""
    ModelFacts(plan.model.name, plan.model.version, plan.model.demonstration, "en", teacher).save(folder)
