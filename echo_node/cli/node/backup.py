"""`echo-node backup` and `echo-node restore`: the whole node in one folder, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from echo_node.actions.open_storage import existing_storage
from echo_node.cli import options
from echo_node.cli.output import complain, console, print_json


def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an earlier backup.")],
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Copy database, images and drafts into a folder; the node may be running.

    A second backup into the same folder copies only what is new. All of it
    is patient data. Images that retention has removed are not in it.

    [bold]Examples[/bold]

      echo-node backup /mnt/backup/echo-node
      echo-node restore /mnt/backup/echo-node --data-dir /srv/echo-node
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    from echo_node.storage.operations.backup import back_up

    with existing_storage(settings) as storage, _bar("copying") as progress:
        made = back_up(storage.database, storage.objects, settings.node.data_dir, target, progress)
    if json:
        print_json(asdict(made))
    else:
        typer.echo(f"{made.rows} rows and {made.files} files ({made.bytes / 1e6:.1f} MB) are in {target}.")
    if made.missing:
        complain(
            f"{len(made.missing)} files were missing or damaged in the node itself; manifest.json lists them"
        )
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A backup.")],
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    take_over: Annotated[
        str | None,
        typer.Option(
            "--take-over",
            metavar="NODE",
            help="Restore into the images and drafts of this node, which is gone for good.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Bring a backup into an empty node: another folder, another machine, or another kind of database.

    Every file is compared with its digest. A backup made on SQLite can be
    restored into PostgreSQL, and one of an older version is upgraded. What
    was delivered since the backup is sent again as the very same object.

    The restored node is a node of its own, with an id of its own: images and
    drafts go where nobody's are, into a data folder or storage.url of its own.
    Only if the node that was backed up is gone for good may the new one have
    its place: --take-over NODE, with the id that is told without it.

    [bold]Examples[/bold]

      echo-node restore /mnt/backup/echo-node --data-dir /srv/echo-node
      echo-node restore /mnt/backup/echo-node --take-over 7d0a0f0e-3c0e-4b52-9a3f-0d6a3c9a2b11
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    from echo_node.storage.open import open_storage
    from echo_node.storage.operations.backup import backed_up_node
    from echo_node.storage.operations.backup import restore as bring_back

    with open_storage(settings) as storage, _bar("copying") as progress:
        done = bring_back(source, storage.database, storage.objects, progress, take_over)
        node = storage.ownership.claim().node
        spared = sum(1 for _ in storage.orphans(0.0)) if take_over else 0
    before = backed_up_node(source)
    if json:
        print_json(asdict(done) | {"node": node, "backed_up_node": before, "not_in_the_backup": spared})
        return
    where = settings.storage.url or settings.node.data_dir
    typer.echo(f"{done.rows} rows are in the database, {done.files} files of {done.made_at} in {where}.")
    typer.echo(f"This is node {node}, a node of its own; the backup is of node {before or '(not told)'}.")
    if take_over:
        typer.echo(
            f"It has taken the place of {take_over}, which must not run any more: it would refuse to.\n"
            f"{spared} images and drafts there are not in the backup, and stay: "
            "`echo-node storage orphans` lists them."
        )
    else:
        typer.echo("The two share nothing: never give them the same storage.url; serve would refuse it.")
    typer.echo("`echo-node backup` of it wants a folder of its own.")
    if done.missing:
        complain(
            f"{len(done.missing)} files were missing when the backup was made: their studies cannot be read"
        )


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yield what moves it."""
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel="The node")(backup)
    app.command(rich_help_panel="The node")(restore)
