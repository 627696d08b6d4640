"""`echo-node train`, `evaluate` and `calibrate`: make a checkpoint and measure it. Needs torch."""

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
_COLUMNS = {  # columns of every table; _KNOWN or _UNKNOWN adds two, by the kind of cases; --json has all
    "micro F1": "f1_micro",
    "macro F1": "f1_macro",
    "tok/fwd": "tokens_per_forward",
    "ended": "ended",
}
_OF_CLASSES = ("adaptive_mark", "teacher_multi_step", "one_step_shuffled_images", "always_normal")
"""Default decoder of the node, its teacher, and the controls."""


class Stage(StrEnum):
    """Stage of training: new vision tower, next tokens, block diffusion, one-step distillation."""

    VISION = "vision"
    AR = "ar"
    RAD = "rad"
    DCD = "dcd"


def train(
    stage: Annotated[
        Stage, typer.Argument(help="Stage: vision, ar (next tokens), rad (block diffusion), dcd (one step).")
    ],
    recipe: Annotated[
        str,
        typer.Option("--recipe", metavar="NAME-or-FILE", help="Name of a shipped recipe, or a TOML file."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the checkpoint.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Value of a setting in the recipe; repeatable."),
    ] = None,
    *,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Estimate of parameters, tokens and memory only; nothing is trained."),
    ] = False,
) -> None:
    """Train one stage, show its progress and write a checkpoint.

    An interrupted run in the same folder continues. Under torchrun, the run
    uses all processes.

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
        str, typer.Option("--data", metavar="phantom:COUNT|FOLDER|FILE.jsonl", help="Cases to evaluate on.")
    ] = "phantom:256",
    seed: Annotated[int, typer.Option("--seed", help="Random seed of the cases.")] = 7,
    scorers: Annotated[
        list[str] | None,
        typer.Option(
            "--scorer",
            metavar="NAME=DIR",
            help="Extra score: ratescore, chexbert or radgraph from a local folder, or meteor; repeatable.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Folder for report.md and report.html."),
    ] = None,
    config: options.Config = None,
    model: options.Model = None,
    *,
    json: options.Json = False,
) -> None:
    """Measure a model, compared with its controls.

    The measures are coherent sentences, correct facts, F1 of findings, garble,
    overlap of words, and tokens per forward pass. The controls are its
    teacher, shuffled images, and an answer that is always normal.

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
        str, typer.Option("--data", metavar="phantom:COUNT", help="Cases to measure on; half are held out.")
    ] = "phantom:4096",
    seed: Annotated[
        int, typer.Option("--seed", help="Random seed of the cases; it should differ from that of evaluate.")
    ] = 8,
    config: options.Config = None,
    model: options.Model = None,
    *,
    json: options.Json = False,
) -> None:
    """Measure how often sentences of a given confidence are correct; store the result.

    The command writes calibration.json into the folder of the model and prints
    the reliability on the held-out half. With model.check on, drafts then
    state how often sentences like theirs were correct.

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
        ["confidence", "correct", "sentences", ""],
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
