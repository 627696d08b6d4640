"""`echo-node backup` and `echo-node restore`: copy a node into a folder, and restore it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from echo_node.actions import backup as actions
from echo_node.actions.open_storage import existing_storage
from echo_node.cli import options
from echo_node.cli.output import complain, console, print_json


def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="New folder, or an earlier backup.")],
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Copy database, images and drafts into a folder; the node may be running.

    A second backup into the same folder copies new files only. The whole
    backup is patient data. It lacks images that retention has removed.

    [bold]Examples[/bold]

      echo-node backup /mnt/backup/echo-node
      echo-node restore /mnt/backup/echo-node --data-dir /srv/echo-node
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage, _bar("copying") as progress:
        made = actions.back_up(storage, settings, target, progress)
    if json:
        print_json(asdict(made))
    else:
        typer.echo(
            f"The backup in {target} has {made.rows} rows and {made.files} files ({made.bytes / 1e6:.1f} MB)."
        )
    if made.missing:
        complain(
            f"{len(made.missing)} files were missing or damaged in the node itself; manifest.json lists them"
        )
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backup.")],
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    take_over: Annotated[
        str | None,
        typer.Option(
            "--take-over",
            metavar="NODE",
            help="Id of a node that is gone permanently; its images and drafts are taken over.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Restore a backup into an empty node: another folder, machine or kind of database.

    Every file is compared with its digest. A backup made on SQLite can be
    restored into PostgreSQL, and one of an older version is upgraded. Drafts
    that were delivered after the backup are sent again as the same objects.

    The restored node is a new node with its own id. Its images and drafts
    need a data folder or storage.url that no other node uses. If the node
    that was backed up is gone permanently, the new node may replace it: use
    --take-over NODE. The id is printed if you leave the option out.

    [bold]Examples[/bold]

      echo-node restore /mnt/backup/echo-node --data-dir /srv/echo-node
      echo-node restore /mnt/backup/echo-node --take-over 7d0a0f0e-3c0e-4b52-9a3f-0d6a3c9a2b11
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with _bar("copying") as progress:
        done = actions.restore(source, settings, progress, take_over)
    manifest = done.manifest
    if json:
        print_json(
            asdict(manifest)
            | {
                "node": done.node,
                "backed_up_node": done.backed_up_node,
                "not_in_the_backup": done.spared,
            }
        )
        return
    where = settings.storage.url or settings.node.data_dir
    typer.echo(
        f"Restored {manifest.rows} rows into the database and {manifest.files} files into {where}; "
        f"the backup was made at {manifest.made_at}."
    )
    typer.echo(
        f"This is a new node, {done.node}; the backup is of node {done.backed_up_node or '(not stated)'}."
    )
    if take_over:
        typer.echo(
            f"It replaces node {take_over}, which must not run again and would refuse to.\n"
            f"{done.spared} images and drafts there are not in the backup, and stay: "
            "`echo-node storage orphans` lists them."
        )
    else:
        typer.echo("Never give both nodes the same storage.url: `serve` refuses it.")
    typer.echo("`echo-node backup` of the new node needs a folder of its own.")
    if manifest.missing:
        complain(
            f"{len(manifest.missing)} files were missing when the backup was made: "
            "their studies cannot be read"
        )


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar. Yield the function that updates it."""
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as progress:
        bar = progress.add_task(label, total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel="The node")(backup)
    app.command(rich_help_panel="The node")(restore)
