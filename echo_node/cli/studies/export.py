"""`echo-node export OUT`: export studies and their reports as a pseudonymised data set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from echo_node.actions.open_storage import existing_storage
from echo_node.cli import options
from echo_node.cli.models.dataset import print_facts
from echo_node.cli.output import complain, console
from echo_node.domain.identifiers import is_usable_uid
from echo_node.errors import ConfigError

_DAYS = ["%Y-%m-%d"]


def export(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder of the data set; an interrupted run continues.")
    ],
    key_file: Annotated[
        Path,
        typer.Option("--key-file", metavar="FILE", help="Secret key of the pseudonyms, 16 bytes or more."),
    ],
    reports: Annotated[
        Path | None,
        typer.Option(
            "--reports",
            metavar="FOLDER",
            help="Folder of SR documents, or of text files named by accession number or Study Instance UID.",
        ),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--since", formats=_DAYS, help="First day of receipt (UTC).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=_DAYS, help="Last day of receipt (UTC).")
    ] = None,
    ae: Annotated[str | None, typer.Option("--ae", metavar="TITLE", help="AE title of the sender.")] = None,
    studies: Annotated[
        Path | None,
        typer.Option("--studies", metavar="FILE", help="File of Study Instance UIDs, one per line."),
    ] = None,
    longest_side: Annotated[
        int,
        typer.Option(
            "--longest-side",
            min=0,
            help="Maximum side of an image, in pixels; larger images are scaled down. 0 keeps them.",
        ),
    ] = 0,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    images_only: Annotated[bool, typer.Option("--images-only", help="Images only, without reports.")] = False,
    json: options.Json = False,
) -> None:
    """Export stored studies with their reports, pseudonymised, as a data set to train on.

    Names and identifiers become keyed digests. All dates of a patient move by
    the same number of days. Names, dates and numbers are removed from the
    reports. OUT/rejected.jsonl lists the studies that are left out. Read the
    contents of OUT before you pass it on: no rule finds every name.

    [bold]Example[/bold]

      echo-node export data/mine --reports reports/ --key-file secret.key --since 2026-01-01
    """
    if (reports is None) is not images_only:
        raise typer.BadParameter("give --reports FOLDER or --images-only", param_hint="--reports")
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    from rich.progress import Progress

    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.storage.operations.export import StudyChoice
    from training.datasets.build import BuildOptions, build
    from training.datasets.card import write_card
    from training.datasets.deidentification.pseudonyms import load_key
    from training.datasets.export import Export
    from training.datasets.reports import ReportFolder

    configure_libraries()
    pseudonyms = load_key(key_file)
    choice = StudyChoice(
        since=since.replace(tzinfo=UTC) if since else None,
        until=until.replace(tzinfo=UTC) + timedelta(days=1) if until else None,
        calling_ae_title=ae,
        study_instance_uids=_listed(studies) if studies else None,
    )
    folder = ReportFolder(reports) if reports else None
    if folder and folder.unreadable:
        complain(f"{folder.unreadable} files of --reports are neither text files nor SR documents")
    chosen = BuildOptions(
        out.name, "export", pseudonyms, longest_side, images_only, ("Exported from a node, pseudonymised.",)
    )
    with (
        existing_storage(settings) as storage,
        Progress(console=console(stderr=True), transient=True) as bars,
    ):
        bar = bars.add_task("studies", total=storage.archive.count(choice))
        requested = choice.study_instance_uids or ()
        found = Export(storage.archive.studies(choice), requested, folder, pseudonyms).read()
        facts = build(found, out, chosen, lambda n: bars.advance(bar, n))
    write_card(out)
    print_facts(facts, out, json=json)


def _listed(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--studies {path} cannot be read ({type(error).__name__})") from error
    for number, line in enumerate(lines, 1):
        if not is_usable_uid(line):
            raise ConfigError(f"--studies {path}: entry {number} is not a Study Instance UID")
    return frozenset(lines)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="The node")(export)
