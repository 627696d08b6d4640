"""`echo-node queue …`: waiting work and dead letters, their reasons, retries and pauses."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from echo_node.actions import work
from echo_node.actions.open_storage import existing_storage
from echo_node.actions.operator import operator
from echo_node.actions.references import study_of
from echo_node.cli import options
from echo_node.cli.output import print_json
from echo_node.cli.render import print_commitment_request, print_study, print_work
from echo_node.domain.work.hold import Decision
from echo_node.domain.work.kinds import COMMITMENT_REQUEST
from echo_node.domain.work.pausable import Pausable

_POLL_S = 1.0

group = typer.Typer(no_args_is_help=True)

What = Annotated[Pausable, typer.Argument(metavar="{drafting|delivery}", help="Work to pause or resume.")]


@group.command("list")
def list_(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of each kind and state.")] = 50,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Dead letters only.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Finished work too.")] = False,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="Studies and work in this state only, such as held."),
    ] = None,
    json: options.Json = False,
) -> None:
    """List waiting work, work in progress and dead letters, with their reasons.

    Work is a job (drafting), delivery, commitment, commitment request or withdrawal.
    `--state held` lists the studies that wait for `echo-node queue resolve`.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        if state is None:
            rows = work.list_work(storage, dead_only=dead, with_finished=everything, limit=limit)
        else:
            rows = work.list_in_state(storage, state, limit)
        held = len(storage.queries.held_studies()) if state is None else 0
    if json:
        print_json(rows)
    elif rows:
        print_work(rows)
    elif state is not None:
        typer.echo(f"No study and no work is {state}.")
    else:
        typer.echo("There are no dead letters." if dead else "There is no waiting work and no dead letter.")
    if held and not json:
        typer.echo(f"Held studies, which wait for an operator: {held}. `echo-node queue list --state held`")


@group.command()
def show(
    id_: options.Id,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Show one study with its images, jobs, drafts and deliveries, or one commitment-request-N."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    reference = options.reference(id_)
    with existing_storage(settings) as storage:
        if reference.kind is COMMITMENT_REQUEST:
            request = storage.queries.commitment_request(reference.number)
            (print_json if json else print_commitment_request)(request)
            return
        record = work.show_study(storage, reference)
    if json:
        print_json(record)
        return
    print_study(record)
    if items := work.work_of(record):
        print_work(items)


@group.command()
def retry(
    id_: options.Id,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Retry a dead letter, such as job-12, or every dead letter of a study."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    reference = options.reference(id_)
    with existing_storage(settings) as storage:
        released = [str(each) for each in work.release(storage, reference)]
    if json:
        print_json({"released": released})
    else:
        typer.echo(f"Released {', '.join(released)}: the node tries again.")


@group.command()
def resolve(
    id_: options.Id,
    decision: Annotated[Decision, typer.Argument(help="The object that is right.", case_sensitive=False)],
    by: Annotated[str, typer.Option("--by", help="Operator. Default: login and machine.")] = "",
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Do not ask for confirmation. Only a terminal is asked, never with --json."
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Resolve what contradicts itself in a study, and draft the study again.

    A study waits if an object names another patient or order than one before
    it, or has other content under the same SOP Instance UID. `queue show ID`
    names the attributes that differ.

      keep      The first object is right. Those that contradict it are excluded
                from the study.
      replace   The object that arrived last is right. It takes the place of the
                older ones that it contradicts, and moves into the study that it
                names. Images that it contradicts are excluded, so have all images
                of a corrected study sent again first.

    No object is deleted: `queue show ID` shows where each is stored. Drafts that
    were withdrawn stay withdrawn. The decision is final: the same object never
    holds the study again, but another contradiction does.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    reference = options.reference(id_)
    with existing_storage(settings) as storage:
        study_id = study_of(storage, reference)
        if not yes and not json and sys.stdin.isatty():
            print_study(work.show_study(storage, reference))
            typer.confirm(f"Resolve study {study_id}: {decision}? This cannot be undone.", abort=True)
        revision = work.resolve(storage, study_id, decision, by or operator())
    if json:
        print_json({"study_id": study_id, "decision": decision, "revision": revision})
    else:
        typer.echo(
            f"Resolved: {decision}. Study {study_id} is checked again, as revision {revision}, and drafted "
            "if nothing else contradicts it."
        )


@group.command()
def urgent(
    id_: options.Id,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Draft a study before all studies that are not urgent."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    reference = options.reference(id_)
    with existing_storage(settings) as storage:
        study_id = work.prioritise(storage, reference)
    typer.echo(f"Study {study_id} is drafted next.")


@group.command()
def pause(
    what: What,
    reason: Annotated[
        str, typer.Option("--reason", help="Reason, which `status` shows.")
    ] = "paused by an operator",
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of work in progress.")] = False,
) -> None:
    """Pause drafting or delivery on all machines, for example before an upgrade.

    The node still receives studies, and nothing is lost. Work in progress is
    finished; with `--wait` the command returns after that.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        work.pause(storage, what, reason)
        while wait and (running := work.in_progress(storage, what)):
            typer.echo(f"{what.value}: {running} in progress")
            time.sleep(_POLL_S)
    typer.echo(f"Paused: {what.value}. `echo-node queue resume {what.value}` resumes it.")


@group.command()
def resume(
    what: What,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Resume drafting or delivery after a pause."""
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        was_paused = work.resume(storage, what)
    typer.echo(f"Resumed: {what.value}." if was_paused else f"{what.value} was not paused.")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(
        group,
        name="queue",
        help="List, retry, prioritise and pause work; show its dead letters.",
        rich_help_panel="The node",
    )
