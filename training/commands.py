"""What `echo-node train` and `echo-node evaluate` do, by recipe and by name."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from echo_node.errors import ConfigError
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.checkpoint import ModelFacts
from echo_node.model.decode import settings_of
from echo_node.model.vlm import EchoForReportGeneration
from echo_node.settings import ModelSettings
from training.calibrate import fit, judge, reliability
from training.card import FILE_NAME as CARD
from training.card import model_card
from training.collate import Batch, collate
from training.data import Examples, PhantomExamples, batch_indices, jitter
from training.dcd import DcdObjective
from training.drafting import draft
from training.evaluate import Evaluation, Plan
from training.evaluate import evaluate as measure
from training.loop import Objective, last_figures
from training.loop import train as run_loop
from training.metrics.scorers import load_scorers
from training.new_model import new_model
from training.open_cases import open_cases, parse_phantoms
from training.phantom.dataset import PhantomDataset
from training.phantom.findings import FACTS
from training.rad import RadObjective
from training.recipe import DataRecipe, Recipe, load_recipe
from training.tokenizer import train_tokenizer
from training.vision import VisionObjective


def train(stage: str, recipe: str, out: Path | None = None, overrides: list[str] | None = None) -> Path:
    """Run one stage and write its checkpoint; an interrupted run in the same folder goes on.

    Args:
        stage: `vision`, `rad` or `dcd`; must be the recipe's own.
        recipe: a shipped recipe's name or a file.
        out: the folder of the checkpoint and the run's records; `runs/<recipe>` by default.
        overrides: `section.key=value` each.

    Returns:
        The checkpoint's folder.

    Raises:
        ConfigError: the recipe is wrong, of another stage, or takes a vision tower of other dimensions.
        CheckpointError: the model to start from cannot be loaded.
    """
    plan = load_recipe(recipe, overrides or [])
    if plan.stage != stage:
        raise ConfigError(f"recipe '{recipe}' is for the stage '{plan.stage}', not '{stage}'")
    folder = out or Path("runs") / Path(recipe).stem
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
    console = Console(stderr=True)
    model, tokenizer, preparation = _start(plan)
    examples = _examples(plan.data)
    console.print(
        f"{stage}: {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, "
        f"{len(examples)} images, {plan.optimiser.steps} updates of {plan.optimiser.batch}"
    )
    batch_at = partial(_batch, plan, examples, preparation, tokenizer)
    run_loop(model, _objective(plan, model, _image_tokens(preparation)), batch_at, plan.optimiser, folder)
    _write(plan, model, tokenizer, preparation, folder)
    card = model_card(plan, sum(p.numel() for p in model.parameters()), last_figures(folder))
    (folder / CARD).write_text(card, encoding="utf-8")
    console.print(f"wrote {folder}")
    return folder


def evaluate(data: str, seed: int, model: str, threshold: float, scorers: list[str]) -> Evaluation:
    """Measure a model on held-out data beside its controls.

    Args:
        data: `phantom:N`, or a JSONL file of images and reports.
        seed: which phantoms, the order of shuffled images, and the resamples of the intervals.
        model: a shipped model's name or a folder.
        threshold: the adaptive decoder's confidence threshold.
        scorers: metrics to add, as `training.metrics.scorers.load_scorers` takes them.

    Raises:
        ConfigError: *data* or a scorer is not of a known form.
        CheckpointError: the model or the weights of a scorer cannot be loaded.
        PermanentError: an image cannot be read.
    """
    loaded_scorers = load_scorers(scorers)
    student = checkpoint.load(model)
    console = Console(stderr=True)
    with console.status("reading images") as status:
        cases = open_cases(data, seed, ImagePreparation.load(student.folder))
        plan = Plan(seed, threshold, loaded_scorers)
        return measure(student, cases, plan, status.update, console.print)


def calibrate(data: str, seed: int, settings: ModelSettings) -> list[tuple[float, float, int]]:
    """Measure how often sentences are right that a model finds so likely, and write it beside the model.

    Half of the cases give the map, the other half the reliability that is returned: mean confidence, share
    of right sentences and their number, for each bin of confidence.

    Raises:
        ConfigError: *data* is not `phantom:N`, or the settings check nothing.
        CheckpointError: the model cannot be loaded.
    """
    if settings.check == "off":
        raise ConfigError("model.check is 'off': there is nothing to calibrate; take 'mark' or 'repair'")
    count = parse_phantoms(data)
    loaded = checkpoint.load(settings.name)
    preparation = ImagePreparation.load(loaded.folder)
    decoding = settings_of(
        settings.decoder, settings.confidence_threshold, settings.max_new_tokens, settings.check
    )
    with Console(stderr=True).status("rendering phantoms") as status:
        examples = PhantomExamples(count, seed, preparation.side)
        status.update("drafting")
        drafts = draft(loaded, preparation, examples.images(range(count)), decoding).decoded
    half = count // 2
    fitted = fit(judge(drafts[:half], examples.truths[:half], loaded.tokenizer), f"{data}, seed {seed}")
    fitted.save(loaded.folder)
    return reliability(judge(drafts[half:], examples.truths[half:], loaded.tokenizer), fitted)


def _start(plan: Recipe) -> tuple[EchoForReportGeneration, Any, ImagePreparation]:
    if plan.model.start:
        started = checkpoint.load(plan.model.start, adopt_block_length=plan.model.block_length)
        if started.model.config.block_length != plan.model.block_length:
            raise ConfigError(
                f"model.block_length is {plan.model.block_length}, "
                f"but {plan.model.start} has {started.model.config.block_length}"
            )
        return started.model, started.tokenizer, ImagePreparation.load(started.folder)
    if plan.model.new is None:
        raise ConfigError("a recipe needs model.start or a section model.new")
    words = PhantomDataset(4000, plan.data.seed)
    tokenizer = train_tokenizer(
        (words.truth(index)[1].text for index in range(len(words))), plan.model.new.vocabulary
    )
    model = new_model(plan.model.new, tokenizer, plan.model.block_length, plan.optimiser.seed)
    if plan.model.start_vision:
        _take_vision_tower(model, plan.model.start_vision)
    return model, tokenizer, ImagePreparation(resize="square", side=plan.data.side)


def _take_vision_tower(model: EchoForReportGeneration, origin: str) -> None:
    tower = checkpoint.load(origin).model.model.visual.state_dict()
    try:
        model.model.visual.load_state_dict(tower)
    except RuntimeError as error:
        raise ConfigError(f"the vision tower of {origin} has other dimensions than model.new") from error


def _examples(recipe: DataRecipe) -> PhantomExamples:
    with Progress(transient=True) as progress:
        bar = progress.add_task("phantoms", total=recipe.count)
        return PhantomExamples(recipe.count, recipe.seed, recipe.side, partial(progress.advance, bar))


def _objective(plan: Recipe, model: EchoForReportGeneration, image_tokens: int) -> Objective:
    values = [len(values) for values in FACTS.values()]
    if plan.stage == "vision":
        return VisionObjective(model, image_tokens, values)
    if plan.stage == "rad":
        return RadObjective(model, plan.rad, values)
    if not plan.model.start:
        raise ConfigError("dcd needs model.start: the teacher to distil")
    teacher = checkpoint.load(_teacher(plan)).model
    return DcdObjective(model, teacher, plan.dcd, plan.rad)


def _teacher(plan: Recipe) -> str:
    return plan.dcd.teacher or plan.model.start


def _image_tokens(preparation: ImagePreparation) -> int:
    """Return how many tokens one image of the recipe's size becomes."""
    _, grid_thw = preparation.patches(torch.zeros(1, preparation.side, preparation.side))
    return preparation.tokens(grid_thw[0])


def _batch(
    plan: Recipe, examples: Examples, preparation: ImagePreparation, tokenizer: Any, step: int
) -> Batch:
    indices, epoch = batch_indices(len(examples), plan.optimiser.batch, step, plan.optimiser.seed)
    reports = [examples.report(index, epoch) for index in indices]
    images = jitter(examples.images(indices), (plan.optimiser.seed, step))
    findings = [examples.findings(index) for index in indices]
    return collate(images, reports, findings, preparation, tokenizer, plan.model.block_length)


def _write(
    plan: Recipe,
    model: EchoForReportGeneration,
    tokenizer: Any,
    preparation: ImagePreparation,
    folder: Path,
) -> None:
    """Write the checkpoint, its weights as float16 to halve its size."""
    model.train(mode=False).to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    preparation.save(folder)
    teacher = _teacher(plan) if plan.stage == "dcd" else ""
    ModelFacts(plan.model.name, plan.model.version, plan.model.demonstration, "en", teacher).save(folder)
