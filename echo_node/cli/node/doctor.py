"""`echo-node doctor`: check each thing that the node needs, with a remedy for each failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import typer

from echo_node.actions.doctor.check import Check, Grade
from echo_node.actions.doctor.examine import examine
from echo_node.cli import options
from echo_node.cli.output import console, escape, print_json
from echo_node.config import LoadedSettings
from echo_node.errors import ConfigError

_STYLES = {Grade.OK: "green", Grade.NOTE: "yellow", Grade.FAILED: "bold red"}


def doctor(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    pacs: options.Pacs = None,
    model: options.Model = None,
    assignments: options.Set = None,
    *,
    json: options.Json = False,
) -> None:
    """Check everything that the node needs, one line each; exit code 1 on a failure.

    The checks cover configuration, disk, object store, database, owner of the
    images, model, device, and each peer by C-ECHO. Nothing is changed: a
    database that does not exist yet is not created. Pass the same flags as to
    `serve`, including --pacs.

    [bold]Examples[/bold]

      echo-node doctor
      echo-node doctor --config /etc/echo-node --json
    """
    checks = list(
        _checks(
            lambda: options.load_settings(
                config,
                assignments=assignments,
                pacs=pacs,
                data_dir=data_dir,
                database_url=database_url,
                model=model,
            )
        )
    )
    if json:
        print_json([_as_json(check) for check in checks])
    else:
        for check in checks:
            _print(check)
    if any(check.grade is Grade.FAILED for check in checks):
        raise typer.Exit(1)


def _checks(load: Callable[[], LoadedSettings]) -> Iterator[Check]:
    try:
        loaded = load()
    except ConfigError as error:
        yield Check("config", Grade.FAILED, str(error), "correct it; nothing else was checked")
        return
    files = ", ".join(str(path) for path in loaded.files) or "no file, defaults"
    yield Check("config", Grade.OK, files)
    yield from examine(loaded.settings)


def _as_json(check: Check) -> dict[str, str]:
    return {
        "check": check.name,
        "verdict": check.grade,
        "message": check.message,
        "remedy": check.remedy,
    }


def _print(check: Check) -> None:
    style = _STYLES[check.grade]
    remedy = f" [dim]→ {escape(check.remedy)}[/dim]" if check.remedy else ""
    console().print(f"[{style}]{check.grade:<6}[/{style}]  {check.name:<12} {escape(check.message)}{remedy}")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="The node")(doctor)
