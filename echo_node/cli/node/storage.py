"""`echo-node storage show|adopt|orphans`: owner of images and drafts, and orphans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from echo_node.actions import object_store
from echo_node.actions.open_storage import existing_storage
from echo_node.cli import options
from echo_node.cli.output import console, print_json

if TYPE_CHECKING:
    from echo_node.storage.objects.ownership import Examination

group = typer.Typer(no_args_is_help=True)


@group.command()
def show(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Show the node id of this database, and the node that owns the images and drafts.

    Nothing is changed. The exit code is 1 if `serve` would refuse to start.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        found = storage.ownership.examine()
    is_fine = object_store.may_serve(found)
    if json:
        print_json(_as_json(found))
    else:
        _print(found)
        if not is_fine:
            typer.echo(f"\n{found.refusal}")
    if not is_fine:
        raise typer.Exit(1)


@group.command()
def adopt(
    taken_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NODE",
            help="Present owner, as `storage show` prints it; no question is asked then.",
        ),
    ] = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Take over images and drafts from another database, on purpose.

    Each store belongs to one database, since the node removes files that its
    database does not name. `serve` refuses a store of another database.
    Adopt a store if that other database is gone permanently: it was moved,
    loaded from a dump, or lost and replaced by an older copy.

    [bold]Before[/bold]: stop every process of the node that owns the store. A process
    that still runs notices the change within a minute and ends. Images that
    it receives until then may be lost.

    A database that was itself restored to an earlier state (point-in-time
    recovery, or an older file in its place) keeps its id, so the node cannot
    notice it. Adopt the store before the node starts: otherwise it removes
    the images that arrived later.

    [bold]After[/bold]: this database has a new id, and the store names it as the owner.
    Everything in the store stays, even files that this database does not
    name, such as images that arrived after an old copy was made.
    `storage orphans` lists them. docs/how-to/recover-a-store.md explains how
    the node receives them again.

    [bold]Examples[/bold]

      echo-node storage show
      echo-node storage adopt
      echo-node storage adopt --from 7d0a0f0e-3c0e-4b52-9a3f-0d6a3c9a2b11
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    from echo_node.storage.objects.ownership import StoreOwnership

    with existing_storage(settings) as storage:
        found = storage.ownership.examine()
        if found.standing is StoreOwnership.FREE:
            _print(found)
            typer.echo("There is nothing to adopt: `serve` claims the store.")
            return
        if taken_from is None:
            _print(found)
            again = "This database owns the store already; if adopted again, every file in it now is spared."
            typer.echo(f"\n{again if found.standing is StoreOwnership.OURS else found.refusal}\n")
            with console(stderr=True).status("looking for files that this database does not name"):
                unnamed = object_store.count_unnamed(storage)
            typer.echo(f"This database does not name {unnamed} of the images and drafts there; they stay.")
            question = f"Is node {found.holder} stopped, and should this database replace it permanently?"
            if not typer.confirm(question):
                raise typer.Exit(1)
        node = object_store.adopt(storage, taken_from or found.holder)
    typer.echo(f"The store belonged to {found.holder} and now belongs to this database, node {node}.")
    typer.echo("`echo-node backup` needs a new folder: the earlier backup is of the previous node.")


@group.command()
def orphans(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Permanent removal of the files.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="No confirmation for --remove.")] = False,
    json: options.Json = False,
) -> None:
    """List images and drafts that no row names and that are older than an hour.

    `serve` removes them every hour: they were never acknowledged. After
    `storage adopt` or `restore --take-over` it spares the files that were
    there before, since the previous node may have acknowledged them.
    --remove removes those too.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        if remove:
            storage.ownership.claim()
        locations = object_store.list_orphans(storage)
        if json:
            print_json(locations)
        else:
            for location in locations:
                typer.echo(location)
        if not remove or not locations:
            return
        if not yes and not typer.confirm(f"Remove these {len(locations)} files permanently?"):
            raise typer.Exit(1)
        typer.echo(f"Files removed: {object_store.remove_orphans(storage)}.", err=json)


def _as_json(found: Examination) -> dict[str, object]:
    return {
        "standing": found.standing,
        "node": found.node,
        "owner": found.owner and found.owner.node,
        "claimed_at": found.owner and found.owner.claimed_at,
        "where": found.where,
    }


def _print(found: Examination) -> None:
    since = f", since {found.owner.claimed_at}" if found.owner else ""
    typer.echo(f"This database is node  {found.node or '(no id yet)'}")
    typer.echo(f"The store belongs to   {found.holder}{since}")
    typer.echo(f"which is stated in     {found.where}")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(
        group,
        name="storage",
        help="Show and adopt the store of images and drafts; remove orphans.",
        rich_help_panel="The node",
    )
