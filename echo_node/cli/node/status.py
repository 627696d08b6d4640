"""`echo-node status`: counts of studies and deliveries by state, and the latest changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from echo_node.actions.open_storage import existing_storage
from echo_node.actions.status import node_status
from echo_node.cli import options
from echo_node.cli.output import console, escape, print_json, print_table, styled_state
from echo_node.cli.render import moment
from echo_node.config.values import mask_url
from echo_node.domain.work.kinds import KINDS


def status(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Maximum number of studies to list.")] = 20,
    *,
    json: options.Json = False,
) -> None:
    """Count studies and deliveries by state, and list the studies that changed last.

    With --json, `studies`, `jobs`, `deliveries`, `commitments`,
    `commitment_requests` and `withdrawals` are counts by state, `conflicts` is
    the number of undecided objects that were set aside, and `held` lists the
    studies that wait for `echo-node queue resolve`.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        found = node_status(storage, limit)
    if json:
        print_json(
            {
                "studies": found.studies,
                **found.work,
                "instances": found.instances,
                "documents": found.documents,
                "conflicts": found.conflicts,
                "held": found.held,
                "paused": {each.what.value: each.reason for each in found.paused},
                "recent": found.recent,
                "data_dir": str(settings.node.data_dir.resolve()),
                "storage": settings.storage.url,
                "database": mask_url(settings.database_url),
            }
        )
        return
    out = console()
    out.print(f"[dim]{mask_url(settings.database_url)}[/dim]")
    for each in found.paused:
        since = moment(each.since.isoformat())
        out.print(
            f"{_label('paused', 'bold yellow')}{each.what.value} since {since}: {escape(each.reason)} "
            f"(`echo-node queue resume {each.what.value}`)"
        )
    out.print(f"{_label('studies')}{_sentence(found.studies)}")
    for kind in KINDS.values():
        counts = found.work[kind.name.plural]
        if kind.status_line == "always" or (kind.status_line == "if any" and any(counts.values())):
            out.print(f"{_label(kind.label)}{_sentence(counts)}")
    for row in found.held:
        out.print(
            f"{_label('held', 'bold yellow')}study {row['study_id']} since {moment(row['hold']['since'])}: "
            f"{escape(row['hold']['explanation'])} (`echo-node queue show {row['study_id']}`)"
        )
    if found.conflicts:
        out.print(
            f"{_label('conflicts')}[yellow]{found.conflicts} set aside[/yellow]: different content "
            "arrived under the SOP Instance UID of a stored image. "
            + ", ".join(f"`echo-node queue show {study_id}`" for study_id in found.disputed)
        )
    if found.recent:
        print_table(
            "",
            ("study", "state", "revision", "from", "changed", "reason"),
            (
                (
                    row["study_id"],
                    styled_state(row["state"]),
                    row["revision"],
                    escape(row["calling_ae_title"]),
                    moment(row["changed_at"]),
                    escape(row["reason"]),
                )
                for row in found.recent
            ),
        )
    if found.has_dead_letters:
        out.print("`echo-node queue list --dead` shows the reasons; `echo-node queue retry ID` tries again.")


def _label(text: str, style: str = "bold") -> str:
    """Return the beginning of a line, padded to the longest label."""
    width = max(len(kind.label) for kind in KINDS.values()) + 2
    return f"[{style}]{text}[/{style}]{' ' * (width - len(text))}"


def _sentence(counts: Mapping[str, int]) -> str:
    there = [f"{count} {styled_state(state)}" for state, count in counts.items() if count]
    return ", ".join(there) or "[dim]none[/dim]"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="The node")(status)
