"""`echo-node config show|check|init`: show and check the settings, or write commented files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from echo_node.cli import options
from echo_node.cli.output import console, print_json, print_table
from echo_node.config.files import NODE_FILE, PEERS_FILE
from echo_node.config.keys import dotted
from echo_node.config.sources import DEFAULT, LoadedSettings
from echo_node.errors import ConfigError
from echo_node.resources import packaged_folder

group = typer.Typer(no_args_is_help=True)


@group.command()
def show(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    assignments: options.Set = None,
    *,
    json: options.Json = False,
) -> None:
    """Print every effective setting with its source; passwords are masked."""
    loaded = options.load_settings(
        config, assignments=assignments, data_dir=data_dir, database_url=database_url
    )
    if json:
        print_json(
            {
                "files": [str(path) for path in loaded.files],
                "settings": {
                    dotted(item.key): {"value": item.value, "source": item.source}
                    for item in loaded.effective()
                },
            }
        )
        return
    rows = [
        (
            dotted(item.key),
            _shown(item.value),
            item.source if item.source != DEFAULT else "[dim]default[/dim]",
        )
        for item in loaded.effective()
    ]
    print_table("", ("setting", "value", "source"), rows)
    console().print(_files_line(loaded), markup=False)


@group.command()
def check(config: options.Config = None) -> None:
    """Check whether the configuration is valid; exit code 2 if it is not."""
    loaded = options.load_settings(config)
    changed = sum(item.source != DEFAULT for item in loaded.effective())
    typer.echo(f"The configuration is valid; {changed} settings are set explicitly.")
    typer.echo(_files_line(loaded))


@group.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files.")],
) -> None:
    """Write node.toml and peers.toml into a folder, with every setting commented out.

    Existing files are never overwritten.
    """
    templates = packaged_folder("dicom_config")
    present = [name for name in (NODE_FILE, PEERS_FILE) if (folder / name).exists()]
    if present:
        raise ConfigError(f"{folder / present[0]} exists already: no file was written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (NODE_FILE, PEERS_FILE):
            (folder / name).write_bytes((templates / name).read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot write into {folder}: {error.strerror}") from error
    typer.echo(f"Wrote {folder / NODE_FILE} and {folder / PEERS_FILE}; use them with --config {folder}")


def _shown(value: object) -> str:
    """Return the value in the notation of TOML."""
    from rich.markup import escape

    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return escape("[" + ", ".join(_shown(item) for item in value) + "]")
    return escape(f'"{value}"') if isinstance(value, str) else str("" if value is None else value)


def _files_line(loaded: LoadedSettings) -> str:
    return "Read " + (" and ".join(str(path) for path in loaded.files) if loaded.files else "no file.")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(
        group,
        name="config",
        help="Show and check the settings; write commented files.",
        rich_help_panel="The node",
    )
