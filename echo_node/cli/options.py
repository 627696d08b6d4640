"""Options that several commands share, and their conversion to settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from echo_node.actions.references import WorkReference, parse_reference
from echo_node.config import LoadedSettings, Override, load
from echo_node.config.keys import dotted
from echo_node.setting_assignments import parse_assignment

SETTINGS_PANEL = "Settings"

Id = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="Number of a study, or job-N, delivery-N, … as `queue list` shows them."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="DIR-or-FILE",
        envvar="ECHO_NODE_CONFIG",
        help="Folder of node.toml and peers.toml, or one file. Default: /etc/echo-node, else ./dicom_config.",
        rich_help_panel=SETTINGS_PANEL,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.NAME=VALUE",
        help="Value of any setting, such as queue.attempts=3; repeatable.",
        rich_help_panel=SETTINGS_PANEL,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of the spool and the database.",
        rich_help_panel=SETTINGS_PANEL,
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="postgresql://user@host/name or sqlite:///PATH. Set a password in ECHO_NODE_DATABASE_URL only.",
        rich_help_panel=SETTINGS_PANEL,
    ),
]
Pacs = Annotated[
    list[str] | None,
    typer.Option(
        "--pacs",
        metavar="AE@host:port",
        help="Destination of the drafts; repeatable. Without one, drafts stay in the outbox.",
        rich_help_panel=SETTINGS_PANEL,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME-or-DIR",
        help="Name of a shipped model, or folder of a checkpoint.",
        rich_help_panel=SETTINGS_PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Output as JSON.")]

FLAGS = {
    "ae_title": (("node", "ae_title"), "--ae-title"),
    "port": (("node", "port"), "--port"),
    "data_dir": (("node", "data_dir"), "--data-dir"),
    "role": (("node", "role"), "--role"),
    "database_url": (("database", "url"), "--database-url"),
    "study_idle": (("intake", "study_idle_s"), "--study-idle"),
    "model": (("model", "name"), "--model"),
}


def load_settings(
    config: Path | None = None,
    *,
    assignments: list[str] | None = None,
    pacs: list[str] | None = None,
    **flags: object,
) -> LoadedSettings:
    """Return the effective settings of a command.

    Args:
        config: path of `--config`.
        assignments: texts of `--set`.
        pacs: texts of `--pacs`.
        flags: values by the names in FLAGS; None if the flag was not given.

    Raises:
        ConfigError: a flag, a file or a variable is invalid.
    """
    overrides = [_assignment(text) for text in assignments or []]
    for name, value in flags.items():
        if value is not None:
            key, flag = FLAGS[name]
            overrides.append(Override(key, str(value), flag))
    overrides += [Override(("pacs",), text, "--pacs") for text in pacs or []]
    return load(config, os.environ, overrides)


def reference(id_: str) -> WorkReference:
    """Return the study or work item that an ID argument names.

    Raises:
        typer.BadParameter: the ID has no valid form.
    """
    try:
        return parse_reference(id_)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ID") from None


def _assignment(text: str) -> Override:
    given = parse_assignment(text, "intake.study_idle_s=30", least_parts=2)
    return Override(given.key, given.text, f"--set {dotted(given.key)}")
