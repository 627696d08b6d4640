"""`echo-node train` and `echo-node evaluate`: the way to a checkpoint and its figures. Needs torch."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from echo_node.cli import options
from echo_node.cli.output import print_json, print_table

_PANEL = "Models"

_KNOWN = {"coherent": "coherent_sentences", "facts": "facts"}
_UNKNOWN = {"garbled": "garbled", "ROUGE-L": "rouge_l"}
_COLUMNS = {  # of the table, beside those of cases whose truth is known or not; --json has them all
    "micro F1": "f1_micro",
    "macro F1": "f1_macro",
    "tok/fwd": "tokens_per_forward",
    "ended": "ended",
}
_OF_CLASSES = ("adaptive_mark", "teacher_multi_step", "one_step_shuffled_images", "always_normal")
"""The decoder that serves by default, its teacher, and the controls."""


class Stage(StrEnum):
    """A stage of training: a new vision tower, next tokens, block diffusion, one-step distillation."""

    VISION = "vision"
    AR = "ar"
    RAD = "rad"
    DCD = "dcd"


def train(
    stage: Annotated[
        Stage, typer.Argument(help="vision, ar (next tokens), rad (block diffusion), dcd (one step).")
    ],
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME-or-FILE", help="A shipped recipe or a TOML file.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the checkpoint goes.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the recipe; may be repeated."),
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what the run will need: parameters, tokens, memory.")
    ] = False,
) -> None:
    """Train one stage, show its progress and write a checkpoint.

    An interrupted run in the same folder goes on. Under torchrun the run is
    spread over its processes.

    [bold]Examples[/bold]

      echo-node train vision --recipe small-vision
      echo-node train ar --recipe small-ar --out runs/small-ar
      echo-node train dcd --recipe small-dcd --set optimiser.steps=50
      echo-node train rad --recipe 7b-lora-rad --dry-run
    """
    from training.loop.run import run_stage

    if dry_run:
        _print_needs(stage, recipe, overrides or [])
        return
    run_stage(stage.value, recipe, out, overrides or [])


def evaluate(
    data: Annotated[
        str, typer.Option("--data", metavar="phantom:COUNT|FOLDER|FILE.jsonl", help="What to evaluate on.")
    ] = "phantom:256",
    seed: Annotated[int, typer.Option("--seed", help="Which cases.")] = 7,
    scorers: Annotated[
        list[str] | None,
        typer.Option(
            "--scorer",
            metavar="NAME=DIR",
            help="Add ratescore, chexbert or radgraph from a local folder, or meteor; may be repeated.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write report.md and report.html there."),
    ] = None,
    config: options.Config = None,
    model: options.Model = None,
    *,
    json: options.Json = False,
) -> None:
    """Measure a model beside its controls.

    Coherent sentences, right facts, F1 of findings, garble, overlap of
    words, tokens a forward; and the same of its teacher, of shuffled
    images and of an always-normal answer.

    [bold]Examples[/bold]

      echo-node evaluate --data phantom:256 --seed 7 --json
      echo-node evaluate --data studies.jsonl --scorer chexbert=weights/chexbert --report out
    """
    settings = options.load_settings(config, model=model).settings.model
    from training.evaluation import commands
    from training.evaluation.page.write import prepare_folder, write_report

    if report is not None:
        prepare_folder(report)
    evaluation = commands.evaluate(data, seed, settings.name, settings.confidence_threshold, scorers or [])
    if report is not None:
        write_report(evaluation, report, date=f"{datetime.now(tz=UTC):%Y-%m-%d}")
    if json:
        print_json(evaluation.rows)
        return
    columns = {"decoder": "decoder", **(_KNOWN if evaluation.cases.with_truth else _UNKNOWN), **_COLUMNS}
    print_table(
        f"{settings.name} on {data}, seed {seed}",
        list(columns),
        [[_figure(row.get(column)) for column in columns.values()] for row in evaluation.rows],
    )
    compared = [result for result in evaluation.results if result.name in _OF_CLASSES]
    print_table(
        "F1 by finding",
        ["finding", "cases", *(result.name.replace("_", " ") for result in compared)],
        [
            [same[0].name.replace("_", " "), same[0].support, *(_figure(score.f1.point) for score in same)]
            for same in zip(*(result.findings.all for result in compared), strict=True)
        ],
    )


def calibrate(
    data: Annotated[
        str, typer.Option("--data", metavar="phantom:COUNT", help="What to measure on; half is held out.")
    ] = "phantom:4096",
    seed: Annotated[int, typer.Option("--seed", help="Which cases; others than evaluation's.")] = 8,
    config: options.Config = None,
    model: options.Model = None,
    *,
    json: options.Json = False,
) -> None:
    """Measure how far a model's certainty can be trusted, and keep it with the model.

    Writes calibration.json into the checkpoint's folder: with model.check
    on, drafts then say how often sentences like theirs were right. Prints
    the reliability on the held-out half.

    [bold]Example[/bold]

      echo-node calibrate --model runs/mine
    """
    settings = options.load_settings(config, model=model).settings.model
    from training.evaluation import commands
    from training.evaluation.calibrate import expected_calibration_error

    rows = commands.calibrate(data, seed, settings)
    error = expected_calibration_error(rows)
    if json:
        bins = [{"confidence": c, "right": r, "sentences": n} for c, r, n in rows]
        print_json({"expected_calibration_error": error, "bins": bins})
        return
    print_table(
        f"{settings.name} on {data}, seed {seed}: expected calibration error {error:.3f}",
        ["confidence", "right", "sentences", ""],
        [[f"{c:.2f}", f"{r:.2f}", n, "█" * round(20 * r)] for c, r, n in rows],
    )


def _print_needs(stage: Stage, recipe: str, overrides: list[str]) -> None:
    from training.loop.estimate import estimate
    from training.loop.run import plan_of

    plan = plan_of(stage.value, recipe, overrides)
    by_size = {n: estimate(plan, n) for n in (1, 8)}
    print_table(
        f"{recipe}: an estimate; leave a tenth of the memory for what it does not count",
        ["", *(f"{n} process{'es' * (n > 1)}" for n in by_size)],
        [
            [name.replace("_", " "), *(_amount(name, need[name]) for need in by_size.values())]
            for name in by_size[1]
        ],
    )


def _amount(name: str, value: float) -> str:
    is_counted = "parameters" in name or "tokens" in name
    return f"{value:,.0f}" if is_counted else f"{value / 1e9:.3g} GB"


def _figure(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_PANEL)(train)
    app.command(rich_help_panel=_PANEL)(evaluate)
    app.command(rich_help_panel=_PANEL)(calibrate)
