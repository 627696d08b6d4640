"""`echo-node db upgrade|current`: version of the database schema."""

from __future__ import annotations

import typer

from echo_node.actions.open_storage import is_absent
from echo_node.cli import options
from echo_node.cli.output import print_json

group = typer.Typer(no_args_is_help=True)


@group.command()
def upgrade(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Create the database, or upgrade its schema to this program; `serve` does so at its start."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    from echo_node.storage.database import migrate
    from echo_node.storage.database.engine import Database

    database = Database(settings.database_url)
    try:
        before, after = migrate.current(database), migrate.upgrade(database)
    finally:
        database.close()
    if json:
        print_json({"before": before, "current": after, "latest": migrate.latest()})
    else:
        typer.echo(f"The database is at version {after}" + (" already." if before == after else "."))


@group.command()
def current(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Print the version of the schema, and the version that this program needs."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    from echo_node.storage.database import migrate
    from echo_node.storage.database.engine import Database

    here, needed, usable = None, migrate.latest(), False
    if not is_absent(settings):
        database = Database(settings.database_url)
        try:
            here, usable = migrate.current(database), migrate.is_usable(database)
        finally:
            database.close()
    if json:
        print_json({"current": here, "latest": needed})
    elif usable:
        newer = (
            "as this program needs"
            if here == needed
            else f"which is newer than {needed}, but this program can use it"
        )
        typer.echo(f"The database is at version {here}, {newer}.")
    else:
        typer.echo(f"The database is at version {here or 'none'}; this program needs {needed}: ", nl=False)
        typer.echo("run `echo-node db upgrade`.")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(
        group,
        name="db",
        help="Upgrade the database schema, or print its version.",
        rich_help_panel="The node",
    )
