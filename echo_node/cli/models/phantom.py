"""`echo-node phantom …`: look at computer-made chests, and write them as DICOM studies or as a data set."""

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
    """A view of a chest."""

    PA = "PA"
    AP = "AP"
    LATERAL = "LATERAL"


class Modality(StrEnum):
    """A kind of digital radiograph."""

    CR = "CR"
    DX = "DX"


class Language(StrEnum):
    """A language of reports."""

    EN = "en"
    ZH = "zh"


@group.command()
def sheet(
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write.")],
    count: Annotated[int, typer.Option("--count", min=1, max=400, help="How many cases.")] = 16,
    columns: Annotated[int, typer.Option("--columns", min=1, help="How many in a row.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which cases.")] = 1,
    size: Annotated[int, typer.Option("--size", min=128, help="Pixels a side of each.")] = 224,
    view: Annotated[View | None, typer.Option("--view", help="One view; else the case's own.")] = None,
    finding: Annotated[
        list[str] | None,
        typer.Option("--finding", metavar="KIND", help="Only cases that show it; may be repeated."),
    ] = None,
    language: Annotated[Language, typer.Option("--language", help="Of the reports in --json.")] = Language.EN,
    *,
    json: options.Json = False,
) -> None:
    """Draw a contact sheet of phantom chests, each with what it shows.

    --json prints each picture's findings and report.

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
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the files go; made if it is not there.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, help="How many studies.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first; the others follow.")] = 1,
    view: Annotated[
        list[View] | None,
        typer.Option("--view", help="May be repeated. Else AP for a portable case, PA and LATERAL."),
    ] = None,
    modality: Annotated[Modality, typer.Option("--modality", help="CR or DX.")] = Modality.CR,
    size: Annotated[int, typer.Option("--size", min=128, help="Pixels a side.")] = 1024,
    language: Annotated[Language, typer.Option("--language", help="Of the reports.")] = Language.EN,
    *,
    inverted: Annotated[bool, typer.Option("--inverted", help="Store MONOCHROME1.")] = False,
    json: options.Json = False,
) -> None:
    """Write phantom chests as DICOM studies that a node takes for real ones.

    Prints for each study its files, what it shows and a report of it. The
    patients are called Phantom; the same seed gives the same study.

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
        Path, typer.Argument(metavar="OUT", help="Folder of the data set; an earlier run goes on.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, help="How many phantoms.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which phantoms.")] = 1,
    size: Annotated[int, typer.Option("--size", min=128, help="Pixels a side.")] = 448,
    language: Annotated[Language, typer.Option("--language", help="Of the reports.")] = Language.EN,
    splits: Annotated[
        str,
        typer.Option(
            "--splits",
            metavar="TRAIN,VALIDATION,TEST",
            help="The shares of patients that are drawn for each.",
        ),
    ] = "90,5,5",
    *,
    json: options.Json = False,
) -> None:
    """Write phantom chests with their reports as a data set: frontal views, a patient each, and a data card.

    It is one like those of `dataset build`, to try what works on a folder
    without patient data. The same options give the same data set. A larger
    --count adds to it; with other options the folder is refused.

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
    """Return the shares of training, validation and test, which together are 1.

    Raises:
        ConfigError: the text is not of three numbers that can be shares.
    """
    try:
        train, validation, test = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--splits {text}: write three numbers, such as 90,5,5") from None
    whole = train + validation + test
    if min(train, validation, test) < 0 or not 0 < whole < math.inf:
        raise ConfigError(f"--splits {text}: shares are not negative, and one at least is more than 0")
    return train / whole, validation / whole, test / whole


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(
        group,
        name="phantom",
        help="Computer-made chests: contact sheets, DICOM studies, data sets.",
        rich_help_panel="Models",
    )
