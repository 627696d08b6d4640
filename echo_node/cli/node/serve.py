"""`echo-node serve`: run the node."""

from __future__ import annotations

from typing import Annotated

import typer

from echo_node.cli import options
from echo_node.settings import Role


def serve(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    ae_title: Annotated[
        str | None,
        typer.Option(
            "--ae-title", help="Our AE title. Default: ECHO_NODE.", rich_help_panel=options.SETTINGS_PANEL
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            help="DICOM port; 0 takes any free port. Default: 11112.",
            rich_help_panel=options.SETTINGS_PANEL,
        ),
    ] = None,
    database_url: options.DatabaseUrl = None,
    pacs: options.Pacs = None,
    study_idle: Annotated[
        float | None,
        typer.Option(
            "--study-idle",
            metavar="SECONDS",
            help="Time without a new image after which a study is complete. Default: 60.",
            rich_help_panel=options.SETTINGS_PANEL,
        ),
    ] = None,
    model: options.Model = None,
    role: Annotated[
        Role | None,
        typer.Option(
            "--role", help="Part of the node to run. Default: all.", rich_help_panel=options.SETTINGS_PANEL
        ),
    ] = None,
    assignments: options.Set = None,
) -> None:
    """Run the node until Ctrl-C or SIGTERM.

    [bold]Examples[/bold]

      echo-node serve
      echo-node serve --data-dir /var/lib/echo-node --pacs PACS@10.0.0.5:104
      echo-node serve --config /etc/echo-node --role receive

    You may stop a node at any moment, even by kill -9 or a power cut: images
    that it acknowledged are on disk, and it starts unfinished work again.
    """
    loaded = options.load_settings(
        config,
        assignments=assignments,
        pacs=pacs,
        data_dir=data_dir,
        ae_title=ae_title,
        port=port,
        database_url=database_url,
        study_idle=study_idle,
        model=model,
        role=role.value if role else None,
    )
    from echo_node.node import run

    run(loaded.settings)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="The node")(serve)
