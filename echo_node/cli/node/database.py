"""`echo-node db upgrade|current`: version of the database schema."""

from __future__ import annotations

import typer

from echo_node.actions.schema import schema_version, upgrade_schema
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
    done = upgrade_schema(settings)
    if json:
        print_json({"before": done.before, "current": done.current, "latest": done.needed})
    else:
        already = " already" if done.before == done.current else ""
        typer.echo(f"The database is at version {done.current}{already}.")


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
    version = schema_version(settings)
    here, needed = version.current, version.needed
    if json:
        print_json({"current": here, "latest": needed})
    elif version.is_usable:
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
