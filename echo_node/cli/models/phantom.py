"""`echo-node phantom …`: draw phantom chests, and write them as DICOM studies or as a data set."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from echo_node.cli import options
from echo_node.cli.models.dataset import print_facts
from echo_node.cli.output import console, print_json
from echo_node.errors import ConfigError

group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


class View(StrEnum):
    """View of a chest."""

    PA = "PA"
    AP = "AP"
    LATERAL = "LATERAL"


class Modality(StrEnum):
    """Kind of digital radiograph."""

    CR = "CR"
    DX = "DX"


class Language(StrEnum):
    """Language of reports."""

    EN = "en"
    ZH = "zh"


@group.command()
def sheet(
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="PNG file to write.")],
    count: Annotated[int, typer.Option("--count", min=1, max=400, help="Number of cases.")] = 16,
    columns: Annotated[int, typer.Option("--columns", min=1, help="Number of cases in a row.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed of the cases.")] = 1,
    size: Annotated[int, typer.Option("--size", min=128, help="Side of each image, in pixels.")] = 224,
    view: Annotated[
        View | None, typer.Option("--view", help="View of all cases. Default: the view of each case.")
    ] = None,
    finding: Annotated[
        list[str] | None,
        typer.Option("--finding", metavar="KIND", help="Finding that all cases show; repeatable."),
    ] = None,
    language: Annotated[
        Language, typer.Option("--language", help="Language of the reports in --json.")
    ] = Language.EN,
    *,
    json: options.Json = False,
) -> None:
    """Draw a contact sheet of phantom chests, each with its findings.

    --json prints the findings and the report of each case.

    [bold]Examples[/bold]

      echo-node phantom sheet chests.png
      echo-node phantom sheet laterals.png --view LATERAL --size 448 --count 4
      echo-node phantom sheet trauma.png --finding pneumothorax --finding rib_fracture
    """
    from training.phantom.findings import CLASSES
    from training.phantom.sheet import caption, cases, draw_sheet

    wanted = [kind for kind in CLASSES if kind in (finding or [])]
    if unknown := set(finding or []) - set(wanted):
        kinds = ", ".join(CLASSES)
        raise ConfigError(f"--finding {min(unknown)}: there is no such finding; choose one of {kinds}")
    shown: Literal["PA", "AP", "LATERAL"] | None = view.value if view else None
    pictures = list(cases(count, seed, size, view=shown, kinds=wanted, language=language.value))
    if not pictures:
        raise ConfigError("no case shows all of these findings together in this view; ask for fewer")
    draw_sheet(pictures, min(columns, len(pictures))).save(out)
    if json:
        print_json(
            [
                {
                    "case": each.index,
                    "view": each.view,
                    "findings": caption(each.findings),
                    "report": each.report.text,
                }
                for each in pictures
            ]
        )
        return
    typer.echo(f"{out}: {len(pictures)} cases of seed {seed}")


@group.command()
def study(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files; created if needed.")],
    count: Annotated[int, typer.Option("--count", min=1, help="Number of studies.")] = 1,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Random seed of the first study; each further study adds 1.")
    ] = 1,
    view: Annotated[
        list[View] | None,
        typer.Option(
            "--view", help="View; repeatable. Default: AP for a portable case, or else PA and LATERAL."
        ),
    ] = None,
    modality: Annotated[Modality, typer.Option("--modality", help="Modality of the images.")] = Modality.CR,
    size: Annotated[int, typer.Option("--size", min=128, help="Side of an image, in pixels.")] = 1024,
    language: Annotated[Language, typer.Option("--language", help="Language of the reports.")] = Language.EN,
    *,
    inverted: Annotated[bool, typer.Option("--inverted", help="Images in MONOCHROME1.")] = False,
    json: options.Json = False,
) -> None:
    """Write phantom chests as DICOM studies that a node treats as real ones.

    The command prints the files, findings and report of each study. The
    patients are called Phantom. The same seed gives the same study.

    [bold]Examples[/bold]

      echo-node phantom study incoming --count 10
      echo-node phantom study incoming --view PA --modality DX --inverted
      echo-node send incoming/*.dcm --to NODE@127.0.0.1:11112
    """
    from training.phantom.dicom_study import MAX_SEED, study_truth, write_study
    from training.phantom.sheet import caption

    if seed + count - 1 > MAX_SEED:
        raise ConfigError(f"--seed {seed} --count {count}: seeds go up to {MAX_SEED}; choose smaller ones")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for each in range(seed, seed + count):
        paths = write_study(
            folder,
            seed=each,
            views=[one.value for one in view] if view else None,
            size=size,
            modality=modality.value,
            photometric_interpretation="MONOCHROME1" if inverted else "MONOCHROME2",
        )
        findings, report = study_truth(each, language.value)
        rows.append(
            {
                "seed": each,
                "files": [str(path) for path in paths],
                "findings": caption(findings),
                "report": report.text,
            }
        )
        if not json:
            typer.echo("\n".join(str(path) for path in paths))
            typer.echo(f"  {'; '.join(caption(findings))}\n  {report.text}")
    if json:
        print_json(rows)


@group.command()
def dataset(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder of the data set; an interrupted run continues.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, help="Number of phantoms.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed of the phantoms.")] = 1,
    size: Annotated[int, typer.Option("--size", min=128, help="Side of an image, in pixels.")] = 448,
    language: Annotated[Language, typer.Option("--language", help="Language of the reports.")] = Language.EN,
    splits: Annotated[
        str,
        typer.Option(
            "--splits",
            metavar="TRAIN,VALIDATION,TEST",
            help="Shares of the patients for each split.",
        ),
    ] = "90,5,5",
    *,
    json: options.Json = False,
) -> None:
    """Write phantom chests with reports as a data set of frontal views, one patient each.

    The data set equals one of `dataset build`, with its card, and contains no
    patient data. The same options give the same data set. A larger --count
    adds to it; the command rejects the folder if other options differ.

    [bold]Examples[/bold]

      echo-node phantom dataset data/phantoms --count 2000
      echo-node dataset check data/phantoms
      echo-node train rad --recipe mine.toml --set data.source=folder --set data.path=data/phantoms
      echo-node phantom dataset held-out --seed 2 --count 100 --splits 0,0,1
      echo-node evaluate --data held-out
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from training.datasets.card import write_card
    from training.datasets.phantoms import Phantoms, write

    _, validation, test = _shares(splits)
    phantoms = Phantoms(count, seed, size, language.value, validation, test)
    columns = (TextColumn("phantoms"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=count)
        facts = write(phantoms, out, lambda n: progress.advance(bar, n))
    write_card(out)
    print_facts(facts, out, json=json)


def _shares(text: str) -> tuple[float, float, float]:
    """Return the shares of training, validation and test; their sum is 1.

    Raises:
        ConfigError: the text is not three numbers that can be shares.
    """
    try:
        train, validation, test = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--splits {text}: write three numbers, such as 90,5,5") from None
    whole = train + validation + test
    if min(train, validation, test) < 0 or not 0 < whole < math.inf:
        raise ConfigError(
            f"--splits {text}: shares must not be negative, and at least one must be greater than 0"
        )
    return train / whole, validation / whole, test / whole


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(
        group,
        name="phantom",
        help="Write phantom chests as contact sheets, DICOM studies or data sets.",
        rich_help_panel="Models",
    )
