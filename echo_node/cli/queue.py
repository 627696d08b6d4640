"""`echo-node status` and `echo-node queue …`: where every study stands, why, and another try."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from echo_node.cli import options
from echo_node.cli.output import console, escape, print_json, print_table, styled_state
from echo_node.cli.stored import existing_storage
from echo_node.config.values import mask_url
from echo_node.domain.commitment import CommitmentState, PromiseState
from echo_node.domain.job import DeliveryState, JobState, WorkKind
from echo_node.domain.lifecycle import StudyState
from echo_node.domain.pausable import Pausable
from echo_node.domain.withdrawal import WithdrawalState
from echo_node.errors import PermanentError

if TYPE_CHECKING:
    from echo_node.storage.facade import Storage

Record = dict[str, Any]
group = typer.Typer(no_args_is_help=True)

_STATES: dict[WorkKind, type[StrEnum]] = {
    "job": JobState,
    "delivery": DeliveryState,
    "commitment": CommitmentState,
    "promise": PromiseState,
    "withdrawal": WithdrawalState,
}
_ENDED = frozenset(
    {
        JobState.DONE, JobState.SKIPPED, JobState.SUPERSEDED,
        DeliveryState.DELIVERED, DeliveryState.DELIVERED_WITH_WARNING,
        DeliveryState.STOPPED, CommitmentState.COMMITTED, PromiseState.ANSWERED, WithdrawalState.PREPARED,
    }
)  # fmt: skip
_DEAD = "dead"
_WORK_OF_STUDY: dict[WorkKind, str] = {
    "job": "jobs",
    "delivery": "deliveries",
    "commitment": "commitments",
    "promise": "promises",
    "withdrawal": "withdrawals",
}
_ID = re.compile(rf"(?:(?P<kind>{'|'.join(_STATES)})-)?(?P<number>[0-9]{{1,15}})")
What = Annotated[Pausable, typer.Argument(metavar="{drafting|delivery}", help="What.")]
Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="A study's number, or job-N, delivery-N, … of the list."),
]


def status(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many studies to list.")] = 20,
    *,
    json: options.Json = False,
) -> None:
    """Count studies and deliveries by state, and list the studies that changed last.

    With --json: `studies`, `jobs`, `deliveries`, `commitments`, `promises` and
    `withdrawals` are counts by state, `conflicts` counts images set aside.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        overview = storage.queries.overview()
        recent = storage.queries.recent_studies(limit)
        disputed = storage.queries.studies_with_conflicts(3)
        paused = storage.pauses.present()
    studies = _counts(StudyState, overview.studies)
    deliveries = _counts(DeliveryState, overview.deliveries)
    commitments = _counts(CommitmentState, overview.commitments)
    promises = _counts(PromiseState, overview.promises)
    withdrawals = _counts(WithdrawalState, overview.withdrawals)
    if json:
        print_json(
            {
                "studies": studies,
                "jobs": _counts(JobState, overview.jobs),
                "deliveries": deliveries,
                "commitments": commitments,
                "promises": promises,
                "withdrawals": withdrawals,
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
        since = _moment(each.since.isoformat())
        out.print(
            f"[bold yellow]paused[/bold yellow]      {each.what.value} since {since}: {escape(each.reason)} "
            f"(`echo-node queue resume {each.what.value}`)"
        )
    out.print(f"[bold]studies[/bold]     {_sentence(studies)}")
    out.print(f"[bold]deliveries[/bold]  {_sentence(deliveries)}")
    if overview.commitments:
        out.print(f"[bold]commitments[/bold] {_sentence(commitments)}")
    if overview.promises:
        out.print(f"[bold]promises[/bold]    {_sentence(promises)}")
    if overview.withdrawals:
        out.print(f"[bold]withdrawals[/bold] {_sentence(withdrawals)}")
    if overview.conflicts:
        out.print(
            f"[bold]conflicts[/bold]   [yellow]{overview.conflicts} set aside[/yellow]: other content came "
            "under the SOP Instance UID of an image that is kept. "
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
                    _moment(row["changed_at"]),
                    escape(row["reason"]),
                )
                for row in recent
            ),
        )
    if (
        studies[StudyState.FAILED]
        or studies[StudyState.UNDELIVERED]
        or deliveries[DeliveryState.DEAD]
        or withdrawals[WithdrawalState.DEAD]
    ):
        out.print("`echo-node queue list --dead` says why; `echo-node queue retry ID` tries again.")


@group.command("list")
def list_(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of each kind.")] = 50,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Only what has been given up.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="What is done, too.")] = False,
    json: options.Json = False,
) -> None:
    """List jobs, deliveries, commitments, promises and withdrawals that wait, run or were given up."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        listed: dict[WorkKind, Callable[[Any, int], list[Record]]] = {
            "job": storage.queries.list_jobs,
            "delivery": storage.queries.list_deliveries,
            "commitment": storage.queries.list_commitments,
            "promise": storage.queries.list_promises,
            "withdrawal": storage.queries.list_withdrawals,
        }
        rows = [
            _with_id(kind, {"kind": kind, **row})
            for kind, rows_of in listed.items()
            for state in _wanted(kind, dead=dead, everything=everything)
            for row in rows_of(state, limit)
        ]
    if json:
        print_json(rows)
    elif rows:
        _print_work(rows)
    else:
        typer.echo("Nothing was given up." if dead else "Nothing waits, nothing was given up.")


@group.command()
def show(
    id_: Id,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Show all there is to know of one study: images, jobs, drafts, deliveries; or of one promise-N."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    kind, number = _parse(id_)
    with existing_storage(settings) as storage:
        if kind == "promise":
            _show_promise(storage.queries.promise(number), json=json)
            return
        record = storage.queries.show(study_of(storage, id_))
        for row in (*record["documents"], *record["conflicts"]):
            row["path"] = storage.objects.location(row["path"])
    if json:
        print_json(record)
        return
    out = console()
    out.print(f"[bold]study {record['study_id']}[/bold]  {styled_state(record['state'])}")
    if record["reason"]:
        out.print(f"  {escape(record['reason'])}")
    out.print(f"  {record['study_instance_uid']}")
    out.print(f"  from {escape(record['calling_ae_title'])}, revision {record['revision']}")
    removed = sum(row["removed_at"] is not None for row in record["instances"])
    gone = f", {removed} of them removed since (retention)" if removed else ""
    out.print(f"  {len(record['instances'])} instances{gone}, last {_moment(record['received_at'])}")
    for withdrawal in record["withdrawals"]:
        by = escape(withdrawal["asked_by"]) or "the node itself"
        out.print(
            f"  [yellow]withdrawn[/yellow] up to revision {withdrawal['revision']} "
            f"({withdrawal['rejection']}), {_moment(withdrawal['asked_at'])} by {by}"
        )
        if withdrawal["explanation"]:
            out.print(f"    {escape(withdrawal['explanation'])}", soft_wrap=True)
    for document in record["documents"]:
        what = f"draft of revision {document['revision']} by {escape(document['model'])}"
        if document["is_note"]:
            what = f"note of the withdrawal up to revision {document['revision']}"
        withdrawn = ", [yellow]withdrawn[/yellow]" if document["is_withdrawn"] else ""
        unmade = "" if document["is_made"] else " [yellow]could not be made[/yellow]; kept to try again:"
        out.print(f"  {what}, {document['kind']}{withdrawn}{unmade}")
        out.print(f"    {escape(document['path'])}", soft_wrap=True)
    for conflict in record["conflicts"]:
        out.print(
            f"  [yellow]set aside[/yellow]: other content for instance {conflict['instance_id']}, "
            f"{_moment(conflict['received_at'])} from {escape(conflict['calling_ae_title'])}"
        )
        out.print(f"    {escape(conflict['path'])}", soft_wrap=True)
    work = [_with_id(kind, row) for kind, key in _WORK_OF_STUDY.items() for row in record[key]]
    if work:
        _print_work([{"study_id": record["study_id"], **row} for row in work])


@group.command()
def retry(
    id_: Id,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Try again what was given up: one job, delivery, … of the list, or all of a study."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        released = _release(storage, id_)
    if json:
        print_json({"released": released})
    else:
        typer.echo(f"Released {', '.join(released)}: the node tries again.")


@group.command()
def urgent(
    id_: Id,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Draft a study before all others that are not urgent."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        study_id = study_of(storage, id_)
        storage.jobs.hurry(study_id)
    typer.echo(f"Study {study_id} is drafted next.")


@group.command()
def pause(
    what: What,
    reason: Annotated[str, typer.Option("--reason", help="Shown by `status`.")] = "paused by an operator",
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Return when nothing of it runs any more.")] = False,
) -> None:
    """Stop drafting or delivery on all machines; studies are still received, and nothing is lost.

    What runs is finished: `--wait` returns when it is, before an upgrade, say.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        storage.pauses.begin(what, reason)
        while wait and (running := storage.queries.running(what)):
            typer.echo(f"{running} of {what.value} still run")
            time.sleep(1)
    typer.echo(f"Paused: {what.value}. `echo-node queue resume {what.value}` goes on.")


@group.command()
def resume(
    what: What,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Go on with what was paused."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        was_paused = storage.pauses.end(what)
    typer.echo(f"{what.value} goes on." if was_paused else f"{what.value} was not paused.")


def _release(storage: Storage, id_: str) -> list[str]:
    kind, number = _parse(id_)
    if kind is not None:
        storage.release(kind, number)
        return [id_]
    record = storage.queries.show(number)
    dead = [
        (kind, row[f"{kind}_id"])
        for kind, key in _WORK_OF_STUDY.items()
        for row in record[key]
        if row["state"] == _DEAD and (kind != "job" or row["revision"] == record["revision"])
    ]
    for each, row_id in dead:
        storage.release(each, row_id)
    released = [f"{each}-{row_id}" for each, row_id in dead]
    if not released:
        raise PermanentError(
            f"study {number} is {record['state']}: nothing of it was given up, so there is nothing to retry"
        )
    return released


def study_of(storage: Storage, id_: str) -> int:
    """Return the number of the study that an ID of the console is about."""
    kind, number = _parse(id_)
    return number if kind is None else storage.queries.study_of(kind, number)


def _parse(id_: str) -> tuple[WorkKind | None, int]:
    match = _ID.fullmatch(id_)
    if match is None:
        raise typer.BadParameter(
            f"write a study's number, or {', '.join(f'{kind}-N' for kind in _STATES)} of the list",
            param_hint="ID",
        )
    kinds: dict[str, WorkKind] = {kind: kind for kind in _STATES}
    return kinds.get(match["kind"] or ""), int(match["number"])


def _wanted(kind: WorkKind, *, dead: bool, everything: bool) -> list[StrEnum]:
    """Return the states to list: given up first, then what runs and waits, then the rest if asked for."""
    given_up = [state for state in _STATES[kind] if state == _DEAD]
    if dead:
        return given_up
    # States stand in the order of a row's way: what is furthest on comes first.
    others = [state for state in reversed(_STATES[kind]) if state != _DEAD]
    at_work = [state for state in others if state not in _ENDED]
    return given_up + at_work + [state for state in _STATES[kind] if everything and state in _ENDED]


def _with_id(kind: WorkKind, row: Record) -> Record:
    """Return a row with the name that commands take."""
    return {"id": f"{kind}-{row[f'{kind}_id']}", **row}


def _counts(states: Iterable[str], counted: dict[str, int]) -> dict[str, int]:
    """Return every state with its count, zeros too, so that a monitor finds the key that it looks for."""
    return {str(state): counted.get(str(state), 0) for state in states}


def _sentence(counts: dict[str, int]) -> str:
    there = [f"{count} {styled_state(state)}" for state, count in counts.items() if count]
    return ", ".join(there) or "[dim]none[/dim]"


def _show_promise(record: Record, *, json: bool) -> None:
    if json:
        print_json(record)
        return
    out = console()
    out.print(f"[bold]promise {record['promise_id']}[/bold]  {styled_state(record['state'])}")
    if record["reason"]:
        out.print(f"  {escape(record['reason'])}")
    archive = escape(record["archive"]) or "none asked yet"
    out.print(f"  asked by {escape(record['calling_ae_title'])}; archive: {archive}")
    out.print(f"  {record['request_uid']}")
    for row in record["instances"]:
        said = {True: "committed", False: f"failed {row['failure_reason']}", None: "not known yet"}
        out.print(f"  {row['sop_instance_uid']}  {said[row['is_committed']]}")


def _print_work(rows: Iterable[Record]) -> None:
    print_table(
        "",
        ("id", "study", "state", "tries", "to", "status", "next", "reason"),
        (
            (
                row["id"],
                row.get("study_id"),
                styled_state(row["state"]),
                row["tries"],
                escape(row.get("destination")),
                row.get("status"),
                _moment(row["available_at"]),
                escape(row["reason"]),
            )
            for row in rows
        ),
    )


def _moment(iso: str) -> str:
    return iso.replace("T", " ")[:19] + "Z"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel="The node")(status)
    app.add_typer(group, name="queue", help="Work that waits or was given up.", rich_help_panel="The node")
