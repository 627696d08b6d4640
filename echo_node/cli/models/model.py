"""`echo-node model …`: add, list, verify and choose models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from echo_node.actions.choose_model import choose_model
from echo_node.cli import options
from echo_node.cli.output import console, print_json, print_table
from echo_node.errors import CheckpointError

group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@group.command()
def add(
    source: Annotated[
        str, typer.Argument(metavar="ID-or-FOLDER", help="Id on the Hugging Face Hub, or a local folder.")
    ],
    name: Annotated[
        str, typer.Option("--name", help="Name in the library. Default: the original name.")
    ] = "",
    block_length: Annotated[
        int,
        typer.Option(
            "--block-length", min=0, help="Block length, if neither configuration nor name states it."
        ),
    ] = 0,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="No question about the licence.")] = False,
) -> None:
    """Add a model to the library: its safetensors, tokeniser and configuration, never its code.

    [bold]Examples[/bold]

      echo-node model add Midea-AIRC/ECHO_block8
      echo-node model add /data/our-echo --name our-echo
    """
    from echo_node.model import library
    from echo_node.model.checkpoint import load

    out = console(stderr=True)
    folder, licence, origin = Path(source).expanduser(), "", ""
    if not folder.is_dir():
        if "/" not in source:
            raise CheckpointError(f"'{source}' is neither a folder nor an id of the form owner/name")
        licence = library.licence_on_hub(source)
        out.print(f"{source}: licence [bold]{licence or 'not stated'}[/bold]. It binds all users.")
        if not yes and not typer.confirm("Download it?"):
            raise typer.Exit(1)
        folder, revision = library.fetch(source)
        origin = f"{source}@{revision}"
    facts = library.facts_for(folder, name or Path(source).name, block_length, licence, origin)
    with out.status("") as status:
        target = library.add(folder, facts, status.update)
        status.update("loading it once as a check")
        loaded = load(facts.name)
    size = sum(p.numel() for p in loaded.model.parameters())
    typer.echo(
        f"Added {facts.name}: {size / 1e6:,.1f} M parameters, block length {facts.block_length}\n{target}\n"
        f"`echo-node model use {facts.name}` makes it the model of the node."
    )


@group.command(name="list")
def list_models(config: options.Config = None, *, json: options.Json = False) -> None:
    """List the models, both shipped and added."""
    import json as parser

    from echo_node.model.checkpoint import facts_of, known

    used = options.load_settings(config).settings.model.name
    rows: list[dict[str, object]] = []
    for name, folder in known().items():
        facts = facts_of(folder)
        stored = parser.loads((folder / "config.json").read_text(encoding="utf-8"))
        rows.append(
            {
                "name": name,
                "used": name == used,
                "version": facts.version,
                "language": facts.language,
                "block_length": facts.block_length or stored.get("block_length"),
                "megabytes": sum(p.stat().st_size for p in folder.glob("*.safetensors")) / 1e6,
                "licence": facts.licence,
                "demonstration": facts.demonstration,
                "folder": str(folder),
            }
        )
    if json:
        print_json(rows)
        return
    print_table(
        "",
        ["", "model", "version", "block", "MB", "licence", ""],
        [
            [
                "→" if row["used"] else "",
                row["name"],
                row["version"],
                row["block_length"],
                f"{row['megabytes']:,.1f}",
                row["licence"] or "not stated",
                "demonstration, not for clinical use" if row["demonstration"] else "",
            ]
            for row in rows
        ],
    )


@group.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Names of models. Default: all.")
    ] = None,
) -> None:
    """Compare every file of a model with its digest from the time when the model was added."""
    from echo_node.model import library
    from echo_node.model.checkpoint import find_checkpoint, known

    failed = False
    for name in names or list(known()):
        with console(stderr=True).status("") as status:
            wrong = library.verify(find_checkpoint(name), status.update)
        failed = failed or bool(wrong)
        typer.echo(f"{name}: " + ("unchanged" if not wrong else "\n  " + "\n  ".join(wrong)))
    if failed:
        raise typer.Exit(1)


@group.command()
def use(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name from `echo-node model list`.")],
    config: options.Config = None,
) -> None:
    """Choose the model of the node: write model.name into node.toml."""
    path = choose_model(options.load_settings(config), name)
    typer.echo(f"{path}: model.name is now {name}; `echo-node serve` loads it when it starts.")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="model", help="Add, list, verify and choose models.", rich_help_panel="Models")
