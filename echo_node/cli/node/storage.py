"""`echo-node storage show|adopt|orphans`: whose the images and drafts are, and what no row names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    """Show which node this database is, and which one the images and drafts belong to; nothing is changed.

    Exit code 1 if `serve` would refuse to start.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    from echo_node.storage.objects.ownership import Standing

    with existing_storage(settings) as storage:
        found = storage.ownership.examine()
    is_fine = found.standing in (Standing.OURS, Standing.FREE)
    if json:
        print_json(_record(found))
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
            help="Ask nothing: the store is known to belong to this node, as `storage show` prints it.",
        ),
    ] = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Take images and drafts over from another database, on purpose.

    Each store belongs to one database, since what a database does not name
    is removed as an orphan. `serve` refuses a store that is another one's.
    This is for when that other one is gone for good: its database was moved,
    loaded from a dump, or lost and replaced by an older copy.

    [bold]Before[/bold]: stop every process of the node that has the store. One that
    still runs notices within a minute and ends; what it receives until then
    may be lost.

    A database that was itself brought back to an earlier state, by a point in
    time or an older file in its place, has the same id and is not told from
    what it was: adopt before it starts, or what came later is removed.

    [bold]After[/bold]: this database has a new id, and the store says so. Whatever is
    in the store stays, even what this database does not name: images that
    came after an old copy was made. `storage orphans` lists them, and the
    page docs/how-to/recover-a-store.md says how they are received again.

    [bold]Examples[/bold]

      echo-node storage show
      echo-node storage adopt
      echo-node storage adopt --from 7d0a0f0e-3c0e-4b52-9a3f-0d6a3c9a2b11
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    from echo_node.storage.objects.ownership import Standing

    with existing_storage(settings) as storage:
        found = storage.ownership.examine()
        if found.standing is Standing.FREE:
            _print(found)
            typer.echo("There is nothing to adopt: `serve` claims it.")
            return
        if taken_from is None:
            _print(found)
            again = "It is this database's already: adopted again, all that is there now is spared."
            typer.echo(f"\n{again if found.standing is Standing.OURS else found.refusal}\n")
            with console(stderr=True).status("looking for what this database does not name"):
                unknown = sum(1 for _ in storage.orphans(0.0))
            typer.echo(f"This database does not name {unknown} of the images and drafts there; they stay.")
            question = f"Is node {found.holder} stopped, and shall this database take its place for good?"
            if not typer.confirm(question):
                raise typer.Exit(1)
        owner = storage.ownership.adopt(taken_from or found.holder)
    typer.echo(f"The store was {found.holder}'s, and is this database's now: node {owner.node}.")
    typer.echo("`echo-node backup` wants a new folder: the earlier one is that of the node before.")


@group.command()
def orphans(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them, for good.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --remove: ask nothing.")] = False,
    json: options.Json = False,
) -> None:
    """List images and drafts that no row names and that are older than an hour.

    `serve` removes them every hour: they were never acknowledged. After
    `storage adopt` or `restore --take-over` it spares those that were there
    before, since the node before may have acknowledged them; --remove does not.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        if remove:
            storage.ownership.claim()
        where = [storage.objects.location(name) for name in storage.orphans()]
        if json:
            print_json(where)
        else:
            for each in where:
                typer.echo(each)
        if not remove or not where:
            return
        if not yes and not typer.confirm(f"Remove these {len(where)} for good?"):
            raise typer.Exit(1)
        typer.echo(f"{storage.remove_orphans()} were removed.", err=json)


def _record(found: Examination) -> dict[str, Any]:
    return {
        "standing": found.standing,
        "node": found.node,
        "owner": found.owner and found.owner.node,
        "claimed_at": found.owner and found.owner.claimed_at,
        "where": found.where,
    }


def _print(found: Examination) -> None:
    since = f", since {found.owner.claimed_at}" if found.owner else ""
    typer.echo(f"This database is node  {found.node or 'of no id yet'}")
    typer.echo(f"The store belongs to   {found.holder}{since}")
    typer.echo(f"which is said in       {found.where}")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="storage", help="Whose the images and drafts are.", rich_help_panel="The node")
