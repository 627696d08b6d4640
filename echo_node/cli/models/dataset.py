"""`echo-node dataset build|check|card|normalise`: prepare images with reports for training."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echo_node.cli import options
from echo_node.cli.output import complain, console, print_json

if TYPE_CHECKING:
    from training.datasets.shards import Facts

group = typer.Typer(no_args_is_help=True)


class Layout(StrEnum):
    """Layout of images and reports in a source; `auto` detects it from the files."""

    AUTO = "auto"
    MANIFEST = "manifest"
    MIMIC_CXR = "mimic-cxr"
    OPENI = "openi"
    CHEXPERT_PLUS = "chexpert-plus"
    REXGRADIENT = "rexgradient"
    EXPORT = "export"


KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", help="Secret key of the pseudonyms, 16 bytes or more."),
]


@group.command()
def build(
    source: Annotated[Path, typer.Argument(help="Table or folder to read.", exists=True)],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder of the data set; an interrupted run continues.")
    ],
    layout: Annotated[Layout, typer.Option("--format", help="Layout of the source.")] = Layout.AUTO,
    key_file: KeyFile = None,
    longest_side: Annotated[
        int,
        typer.Option(
            "--longest-side",
            min=0,
            help="Maximum side of an image, in pixels; larger images are scaled down. 0 keeps them.",
        ),
    ] = 0,
    *,
    json: options.Json = False,
) -> None:
    """Build a data set: prepare images as the node does, split patients, set bad rows aside.

    Repetitions are set aside too. OUT/rejected.jsonl lists the bad rows.
    Without --key-file, the pseudonyms of patients and studies hide nothing,
    which is right for public data only.

    [bold]Examples[/bold]

      echo-node dataset build images.csv data/mine --key-file secret.key
      echo-node dataset build mimic-cxr-jpg/ data/mimic --longest-side 1024
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from training.datasets.build import BuildOptions
    from training.datasets.build import build as run_build
    from training.datasets.card import write_card
    from training.datasets.deidentification.pseudonyms import PUBLIC, load_key
    from training.datasets.sources import READERS, detect

    name = detect(source) if layout is Layout.AUTO else layout.value
    chosen = BuildOptions(
        out.name, name, load_key(key_file) if key_file else PUBLIC, longest_side=longest_side
    )
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=None)
        facts = run_build(READERS[name](source), out, chosen, lambda n: progress.advance(bar, n))
    write_card(out)
    print_facts(facts, out, json=json)


def print_facts(facts: Facts, out: Path, *, json: bool, verb: str = "set aside") -> None:
    """Print the size of a data set, and the number of rows set aside by reason."""
    if json:
        print_json(
            {"folder": out, "rows": facts.rows, "shards": len(facts.shards), "rejected": facts.rejected}
        )
        return
    screen = console()
    screen.print(f"{out}: {facts.rows} rows in {len(facts.shards)} shards")
    for reason, count in facts.rejected.items():
        screen.print(f"  [yellow]{count}[/yellow] {verb}: {reason}")


@group.command()
def check(
    folder: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    *,
    json: options.Json = False,
) -> None:
    """Read every shard and image and compare the digests; exit code 1 if one is damaged.

    [bold]Example[/bold]

      echo-node dataset check data/mine
    """
    from rich.progress import Progress

    from training.datasets.check import check as run_check
    from training.datasets.shards import load_facts

    facts = load_facts(folder)
    with Progress(console=console(stderr=True), transient=True) as progress:
        bar = progress.add_task("shards", total=len(facts.shards))
        problems = run_check(folder, lambda n: progress.advance(bar, n))
    if json:
        print_json({"folder": folder, "rows": facts.rows, "problems": problems})
    for problem in problems:
        complain(problem)
    if problems:
        raise typer.Exit(1)
    if not json:
        console().print(f"{folder}: {facts.rows} rows in {len(facts.shards)} shards, all intact")


@group.command()
def card(
    folder: Annotated[Path, typer.Argument(help="Folder of the data set.")],
) -> None:
    """Rewrite the card of a data set: README.md with counts and lengths, and a sheet of images.

    [bold]Example[/bold]

      echo-node dataset card data/mine
    """
    from training.datasets.card import write_card

    console().print(f"wrote {write_card(folder)}")


class Mode(StrEnum):
    """Author of the wording: rules, or a model behind an endpoint with the rules as a fallback."""

    RULES = "rules"
    ENDPOINT = "endpoint"


@group.command()
def normalise(
    folder: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder of the new data set; an interrupted run continues.")
    ],
    mode: Annotated[
        Mode, typer.Option("--mode", help="Author of the wording: rules, or the model of an endpoint.")
    ] = Mode.RULES,
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="URL of an OpenAI-compatible endpoint, such as http://localhost:8000/v1.",
        ),
    ] = "",
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="Name of the model at the endpoint.")
    ] = "",
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Number of simultaneous requests.")
    ] = 8,
    *,
    json: options.Json = False,
) -> None:
    r"""Make every region of the chest explicit in every report; no finding is lost or added.

    The wording of a model is used only if the rule labeller finds the same
    findings in it. The variable ECHO_ENDPOINT_KEY contains the API key. The
    reports are sent to the endpoint that you name.

    [bold]Examples[/bold]

      echo-node dataset normalise data/mine data/explicit
      echo-node dataset normalise data/mine data/explicit --mode endpoint \
        --endpoint http://localhost:8000/v1 --model NAME
    """
    if (mode is Mode.ENDPOINT) is not bool(endpoint and model):
        raise typer.BadParameter(
            "--mode endpoint needs --endpoint and --model, and they need it", param_hint="--mode"
        )
    from rich.progress import Progress

    from training.datasets.card import write_card
    from training.datasets.normalisation.endpoint import KEY_VARIABLE, Endpoint
    from training.datasets.normalisation.normalise import normalise as run_normalise
    from training.datasets.shards import load_facts

    rows = load_facts(folder).rows
    asked = None
    if mode is Mode.ENDPOINT:
        out.mkdir(parents=True, exist_ok=True)
        asked = Endpoint(endpoint, model, out / "answers.jsonl", api_key=os.environ.get(KEY_VARIABLE, ""))
    with Progress(console=console(stderr=True), transient=True) as progress:
        bar = progress.add_task("reports", total=rows)
        facts = run_normalise(folder, out, asked, concurrency, lambda n: progress.advance(bar, n))
    write_card(out)
    print_facts(facts, out, json=json, verb="not worded as asked")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(
        group,
        name="dataset",
        rich_help_panel="Models",
        help="Build, check and normalise data sets of images with reports.",
    )
