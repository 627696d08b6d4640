"""One stage from its recipe to its checkpoint: what `echo-node train` does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from safetensors import SafetensorError
from torch import Tensor

from echo_node.errors import ConfigError, TransientError
from echo_node.inference.prompt import prompt_ids
from echo_node.model import checkpoint
from echo_node.model.checkpoint import ModelFacts
from echo_node.model.vlm import EchoForReportGeneration
from training import figure, snapshot
from training.ar import ArObjective
from training.card import FILE_NAME as CARD
from training.card import model_card
from training.collate import Batch, collate
from training.data import Examples, Images, PhantomExamples, batch_indices, jitter
from training.dcd import DcdObjective, TargetsOf, streamed_targets
from training.features import KeptFeatures
from training.loop import Run
from training.loop import train as run_loop
from training.lora import adapt, merge
from training.noise import Noise
from training.objective import Learner, Objective
from training.optimiser import optimisers
from training.phantom.findings import FACTS
from training.rad import RadObjective
from training.recipe import Recipe, load_recipe
from training.record import Record, figures_of
from training.rollouts import KeptRollouts, folder_name
from training.sharding import shard
from training.start import Start, examples_of, start, teacher_of
from training.state import StateFolder
from training.validation import HeldOut
from training.vision import VisionObjective
from training.world import World, joined


def train(stage: str, recipe: str, out: Path | None = None, overrides: Sequence[str] = ()) -> Path:
    """Run one stage and write its checkpoint; an interrupted run in the same folder goes on.

    Under torchrun every process calls this.

    Args:
        stage: `vision`, `ar`, `rad` or `dcd`; must be the recipe's own.
        recipe: a shipped recipe's name or a file.
        out: the folder of the checkpoint and the run's records; `runs/<recipe>` by default.
        overrides: `section.key=value` each.

    Returns:
        The checkpoint's folder.

    Raises:
        ConfigError: the recipe is wrong, of another stage, or takes a vision tower of other dimensions.
        CheckpointError: the model to start from cannot be loaded.
        TransientError: the disk is full; what was saved before is kept.
    """
    plan = plan_of(stage, recipe, overrides)
    folder = out or Path("runs") / Path(recipe).stem
    folder.mkdir(parents=True, exist_ok=True)
    with joined(plan.hardware.device) as world:
        console = Console(stderr=True, quiet=not world.leads)
        try:
            _train(plan, folder, world, console)
        except OSError as error:
            raise TransientError(
                f"{folder} cannot be written ({error.strerror}); what was saved before is kept: free some "
                "space and run the same command again"
            ) from error
    return folder


def plan_of(stage: str, recipe: str, overrides: Sequence[str]) -> Recipe:
    """Read the recipe of a stage.

    Raises:
        ConfigError: it is wrong, or of another stage.
    """
    plan = load_recipe(recipe, list(overrides))
    if plan.stage != stage:
        raise ConfigError(f"recipe '{recipe}' is for the stage '{plan.stage}', not '{stage}'")
    return plan


def _train(plan: Recipe, folder: Path, world: World, console: Console) -> None:
    if world.leads:
        (folder / "recipe.json").write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
    started = start(plan)
    model = started.model
    prepare(model, plan)
    model.to(world.device)  # type: ignore[arg-type]
    torch.manual_seed(plan.optimiser.seed)
    objective = _objective(plan, started, world, folder)
    learner = Learner(model, objective).to(world.device)
    if world.size > 1:
        shard(learner, plan, world)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("phantoms", total=plan.data.count)
        examples = examples_of(plan, partial(progress.advance, bar))
    parameters = sum(p.numel() for p in model.parameters())
    console.print(
        f"{plan.stage}: {parameters / 1e6:.2f} M parameters, "
        f"{len(examples)} images, {plan.optimiser.steps} updates of {plan.optimiser.batch}"
    )
    states = StateFolder(folder, _digest(plan), console.print)
    run = Run(
        plan,
        world,
        learner,
        objective,
        optimisers(learner, plan.optimiser),
        partial(_batch, plan, examples, started, _features(plan, started, folder)),
        states,
        _held_out(plan, started, world),
    )

    def record_from(first: int) -> Record | None:
        if not world.leads:
            return None
        return Record(folder, first, plan.optimiser.steps, console=console)

    run_loop(run, record_from)
    learnt = snapshot.weights_of(learner) if world.size > 1 else {}
    if world.leads:
        _write(plan, _gathered(plan, learnt) if learnt else started, folder)
        card = model_card(plan, parameters, figures_of(folder)[-1])
        (folder / CARD).write_text(card, encoding="utf-8")
        figure.draw(folder, f"{plan.model.name} {plan.model.version}, {plan.stage}", console.print)
        states.clear()
        console.print(f"wrote {folder}")
    world.wait()


def prepare(model: EchoForReportGeneration, plan: Recipe) -> None:
    """Freeze what is not trained, add adapters, and save memory as the recipe says."""
    hardware = plan.hardware
    if plan.lora is not None:
        if hardware.precision == "bfloat16":
            model.to(torch.bfloat16)
        adapt(model, plan.lora)
    model.model.visual.requires_grad_(plan.optimiser.train_vision)
    if hardware.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _gathered(plan: Recipe, learnt: dict[str, Tensor]) -> Start:
    """Return the whole network that several processes have trained."""
    whole = start(plan)
    own = {name.removeprefix("model."): value for name, value in learnt.items() if name.startswith("model.")}
    whole.model.load_state_dict(own, strict=False)
    return whole


def _digest(plan: Recipe) -> str:
    """Return what a state must belong to: the recipe, but not the machine that it runs on."""
    return hashlib.sha256(plan.model_dump_json(exclude={"hardware"}).encode()).hexdigest()


def _objective(plan: Recipe, started: Start, world: World, folder: Path) -> Objective:
    values = [len(values) for values in FACTS.values()]
    model, rows = started.model, plan.hardware.row_tokens
    if plan.stage == "vision":
        return VisionObjective(model, _image_tokens(plan, started), values)
    if plan.stage == "ar":
        return ArObjective(model, rows)
    if plan.stage == "rad":
        return RadObjective(model, plan.rad, values, rows)
    return DcdObjective(model, _targets(plan, started, world, folder), plan.dcd, plan.rad, rows)


def _targets(plan: Recipe, started: Start, world: World, folder: Path) -> TargetsOf:
    """Return what gives the teacher's rollouts: the teacher, or what was kept of it."""
    teacher = checkpoint.load(teacher_of(plan))
    half = torch.bfloat16 if plan.hardware.precision == "bfloat16" else torch.float32
    network = teacher.model.to(world.device, half)  # type: ignore[arg-type]
    streamed = streamed_targets(started.model, network, plan.dcd)
    if not plan.dcd.cache:
        return streamed
    data = plan.data.model_dump_json() + repr(started.preparation)
    kept = folder / "rollouts" / folder_name(teacher.digest, plan.dcd, data)
    prompt = len(prompt_ids(started.tokenizer, _image_tokens(plan, started)))
    least = plan.model.block_length - prompt % plan.model.block_length
    return KeptRollouts(streamed, kept, started.model.config.end_of_sequence, least)


def _image_tokens(plan: Recipe, started: Start) -> int:
    """Return how many tokens one image of the recipe's size becomes."""
    _, grid_thw = started.preparation.patches(torch.zeros(1, plan.data.side, plan.data.side))
    return started.preparation.tokens(grid_thw[0])


def _batch(
    plan: Recipe, examples: Examples, started: Start, features: KeptFeatures | None, step: int, rows: range
) -> Batch:
    """Return *rows* of the batch of update *step*."""
    seed = plan.optimiser.seed
    indices, epoch = batch_indices(len(examples), plan.optimiser.batch, step, seed)
    indices = indices[rows.start : rows.stop]
    images = examples.images(indices)
    if plan.data.jitter:
        images = jitter(images, [(seed, step, place) for place in rows])
    batch = _collated(plan, examples, started, indices, images, epoch)
    return batch if features is None else features.add_to(batch, indices)


def _features(plan: Recipe, started: Start, folder: Path) -> KeptFeatures | None:
    if plan.hardware.keep_vision == "no":
        return None
    belongs_to = plan.data.model_dump_json() + repr(started.preparation)
    return KeptFeatures(
        started.model, belongs_to, folder / "features" if plan.hardware.keep_vision == "disk" else None
    )


def _collated(
    plan: Recipe, examples: Examples, started: Start, indices: list[int], images: Images, epoch: int
) -> Batch:
    reports = [examples.report(index, epoch) for index in indices]
    findings = [examples.findings(index) for index in indices]
    return collate(images, reports, findings, started.preparation, started.tokenizer, plan.model.block_length)


def _held_out(plan: Recipe, started: Start, world: World) -> HeldOut | None:
    """Return this process's part of the held-out examples.

    Raises:
        ConfigError: they cannot be dealt out evenly.
    """
    recipe = plan.validation
    if recipe is None:
        return None
    examples = PhantomExamples(recipe.count, recipe.seed, plan.data.side)
    if recipe.count % world.size:
        raise ConfigError(f"validation.count of {recipe.count} cannot be dealt out to {world.size} processes")
    share = recipe.count // world.size
    mine = range(world.rank * share, (world.rank + 1) * share)
    size = plan.hardware.micro_batch or -(-plan.optimiser.batch // world.size)
    batches = []
    for at in range(0, len(mine), size):
        indices = list(mine[at : at + size])
        batch = _collated(plan, examples, started, indices, examples.images(indices), 0)
        batches.append(batch.to(world.device))
    return HeldOut(batches, world, Noise(plan.optimiser.seed, first=mine.start))


def _write(plan: Recipe, started: Start, folder: Path) -> None:
    """Write the checkpoint, its weights in 16 bits to halve its size.

    Raises:
        TransientError: the disk is full.
    """
    model: EchoForReportGeneration = started.model
    if plan.stage == "ar":  # not a model that writes blocks: whoever adapts it says of which length
        model.config.block_length = 0
    if plan.lora is not None:
        merge(model)
    half = torch.bfloat16 if plan.hardware.precision == "bfloat16" else torch.float16
    try:
        model.train(mode=False).to(half).save_pretrained(folder)
    except SafetensorError as error:
        raise TransientError(
            f"the weights could not be written to {folder}; the last state is kept: free some space and "
            "run the same command again"
        ) from error
    started.tokenizer.save_pretrained(folder)
    started.preparation.save(folder)
    teacher = teacher_of(plan) if plan.stage == "dcd" else ""
    ModelFacts(plan.model.name, plan.model.version, plan.model.demonstration, "en", teacher).save(folder)
