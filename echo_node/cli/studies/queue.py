"""`echo-node queue …`: what waits or was given up, why, and another try."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from echo_node.cli import options
from echo_node.cli.open_storage import existing_storage
from echo_node.cli.output import print_json
from echo_node.cli.render import Record, print_promise, print_study, print_work
from echo_node.domain.work.commitment import CommitmentState, PromiseState
from echo_node.domain.work.job import DeliveryState, JobState, WorkKind
from echo_node.domain.work.pausable import Pausable
from echo_node.domain.work.withdrawal import WithdrawalState
from echo_node.errors import PermanentError

if TYPE_CHECKING:
    from echo_node.storage.open import Storage

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
        print_work(rows)
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
            (print_json if json else print_promise)(storage.queries.promise(number))
            return
        record = storage.queries.show(study_of(storage, id_))
        for row in (*record["documents"], *record["conflicts"]):
            row["path"] = storage.objects.location(row["path"])
    if json:
        print_json(record)
        return
    print_study(record)
    work = [_with_id(kind, row) for kind, key in _WORK_OF_STUDY.items() for row in record[key]]
    if work:
        print_work([{"study_id": record["study_id"], **row} for row in work])


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
        storage.jobs.prioritise(study_id)
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


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="queue", help="Work that waits or was given up.", rich_help_panel="The node")
