"""`echo-node status`: counts of studies and deliveries by state, and the latest changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from echo_node.actions.open_storage import existing_storage
from echo_node.cli import options
from echo_node.cli.output import console, escape, print_json, print_table, styled_state
from echo_node.cli.render import moment
from echo_node.config.values import mask_url
from echo_node.domain.work.kinds import KINDS
from echo_node.domain.work.lifecycle import StudyState


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
    `commitment_requests` and `withdrawals` are counts by state, and `conflicts`
    is the number of images that were set aside.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        overview = storage.queries.overview()
        recent = storage.queries.recent_studies(limit)
        disputed = storage.queries.studies_with_conflicts(3)
        paused = storage.pauses.present()
    studies = _counts(StudyState, overview.studies)
    work = {
        plural: _counts(kind.states, overview.work[plural])
        for kind in KINDS.values()
        for plural in kind.plurals
    }
    if json:
        print_json(
            {
                "studies": studies,
                **work,
                "instances": overview.instances,
                "documents": overview.documents,
                "conflicts": overview.conflicts,
                "paused": {each.what.value: each.reason for each in paused},
                "recent": recent,
                "data_dir": str(settings.node.data_dir.resolve()),
                "storage": settings.storage.url,
                "database": mask_url(settings.database_url),
            }
        )
        return
    out = console()
    out.print(f"[dim]{mask_url(settings.database_url)}[/dim]")
    for each in paused:
        since = moment(each.since.isoformat())
        out.print(
            f"{_label('paused', 'bold yellow')}{each.what.value} since {since}: {escape(each.reason)} "
            f"(`echo-node queue resume {each.what.value}`)"
        )
    out.print(f"{_label('studies')}{_sentence(studies)}")
    for kind in KINDS.values():
        counts = work[kind.name.plural]
        if kind.status_line == "always" or (kind.status_line == "if any" and any(counts.values())):
            out.print(f"{_label(kind.label)}{_sentence(counts)}")
    if overview.conflicts:
        out.print(
            f"{_label('conflicts')}[yellow]{overview.conflicts} set aside[/yellow]: different content "
            "arrived under the SOP Instance UID of a stored image. "
            + ", ".join(f"`echo-node queue show {study_id}`" for study_id in disputed)
        )
    if recent:
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
                for row in recent
            ),
        )
    if (
        studies[StudyState.FAILED]
        or studies[StudyState.UNDELIVERED]
        or any(work[kind.name.plural][kind.dead] for kind in KINDS.values())
    ):
        out.print("`echo-node queue list --dead` shows the reasons; `echo-node queue retry ID` tries again.")


def _label(text: str, style: str = "bold") -> str:
    """Return the beginning of a line, padded to the longest label."""
    width = max(len(kind.label) for kind in KINDS.values()) + 2
    return f"[{style}]{text}[/{style}]{' ' * (width - len(text))}"


def _counts(states: Iterable[str], counted: dict[str, int]) -> dict[str, int]:
    """Return the count of every state, even if it is 0, so that a monitor finds every key."""
    return {str(state): counted.get(str(state), 0) for state in states}


def _sentence(counts: dict[str, int]) -> str:
    there = [f"{count} {styled_state(state)}" for state, count in counts.items() if count]
    return ", ".join(there) or "[dim]none[/dim]"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="The node")(status)
