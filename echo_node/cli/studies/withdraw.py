"""`echo-node retract` and `echo-node redraft`: withdraw a study's drafts, and draft it again."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from echo_node import codes
from echo_node.actions.open_storage import existing_storage
from echo_node.actions.operator import operator
from echo_node.actions.references import study_of
from echo_node.actions.withdrawal import WithdrawalProgress, withdraw, withdrawal_progress
from echo_node.actions.withdrawal import redraft as draft_again
from echo_node.cli import options
from echo_node.cli.output import console, escape, print_json, print_table, styled_state
from echo_node.cli.render import moment
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import WithdrawalReason, WithdrawalState
from echo_node.errors import PermanentError

_POLL_S = 1.0


def retract(
    id_: options.Id,
    reason: Annotated[
        WithdrawalReason,
        typer.Option(
            "--reason", help="Reason for the withdrawal; title of the note for the PACS.", show_default=True
        ),
    ] = WithdrawalReason.PATIENT_SAFETY,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="NAME", help="Name of the operator. Default: your login and host."),
    ] = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait for the notes of all destinations, until delivered or refused."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Withdraw the drafts of a study from every destination.

    The node stops drafts that it has not sent yet. Every destination that
    has a draft, or may have it, gets a note: a PACS a Key Object Selection
    that rejects the objects (IHE IOCM), a reporting system a correction
    (ORU^R01, OBX-11 W). The study gets no new draft, even if more images
    arrive, until `echo-node redraft`.

    [bold]Reasons[/bold]

      patient-safety   113037  wrong or dangerous text, perhaps another patient
      worklist         113038  the images were made under a wrong order
      quality          113001  the images or the draft are not good enough
      retention        113039  correct, but not to be kept any longer

    The running node delivers the notes. To see the progress, repeat the
    command, which withdraws nothing twice, or use `echo-node queue show ID`.
    A PACS that does not support IOCM shows the note next to the draft: have
    the draft deleted there.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    reference = options.reference(id_)
    with existing_storage(settings) as storage:
        study_id = study_of(storage, reference)
        is_new = withdraw(storage, study_id, reason, by or operator())
        progress = withdrawal_progress(storage, study_id)
        while wait and progress.is_under_way:
            time.sleep(_POLL_S)
            progress = withdrawal_progress(storage, study_id)
    if json:
        print_json(_as_json(progress, is_new=is_new))
    else:
        _print(progress, is_new=is_new)
    if wait and progress.study_state is not StudyState.WITHDRAWN:
        raise PermanentError(f"study {study_id} is not withdrawn everywhere: {progress.study_reason}")


def redraft(
    id_: options.Id,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Draft a withdrawn study again, from its present images.

    The draft is a new revision with new objects, which do not refer to the
    withdrawn ones. The node still delivers the notes that are under way.
    A study whose images name two patients is held again.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    reference = options.reference(id_)
    with existing_storage(settings) as storage:
        study_id = study_of(storage, reference)
        revision = draft_again(storage, study_id)
    if json:
        print_json({"study_id": study_id, "revision": revision})
    else:
        typer.echo(f"Study {study_id} will be drafted again, as revision {revision}.")


def _print(progress: WithdrawalProgress, *, is_new: bool) -> None:
    out, title = console(), codes.code("rejection", progress.rejection)
    by = f" by {escape(progress.asked_by)}" if progress.asked_by else ""
    already = "" if is_new else "already, "
    out.print(
        f"[bold]study {progress.study_id}[/bold]  {styled_state(progress.study_state)}  "
        f"{already}{moment(progress.asked_at)}{by}: {title.meaning} ({title.value}, {title.scheme})"
    )
    if progress.destinations:
        print_table(
            "",
            ("destination", "draft", "revision", "", "note"),
            (
                (
                    escape(row.destination),
                    row.kind,
                    row.revision,
                    row.draft,
                    styled_state(row.note) if row.note else "none needed",
                )
                for row in progress.destinations
            ),
        )
    else:
        out.print("No draft of this study was delivered.")
    if progress.state is WithdrawalState.DEAD:
        out.print(
            f"[bold red]The notes could not be made[/bold red]: {escape(progress.failure)}; "
            f"`echo-node queue retry withdrawal-{progress.withdrawal_id}` tries again."
        )
    elif progress.has_refused_note:
        out.print(
            "[bold red]A destination refused its note[/bold red]: "
            "`echo-node queue list --dead` shows the reason."
        )
    elif progress.study_state is StudyState.WITHDRAWING:
        out.print("Still under way: the node delivers the notes; repeat the command to see the progress.")
    out.print(f"The study gets no new draft until `echo-node redraft {progress.study_id}`.")


def _as_json(progress: WithdrawalProgress, *, is_new: bool) -> dict[str, object]:
    return {
        "study_id": progress.study_id,
        "state": progress.study_state,
        "withdrawn_now": is_new,
        "reason": progress.rejection,
        "code": codes.code("rejection", progress.rejection).value,
        "explanation": progress.explanation,
        "asked_by": progress.asked_by,
        "asked_at": progress.asked_at,
        "destinations": [asdict(row) for row in progress.destinations],
    }


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel="The node")(retract)
    app.command(rich_help_panel="The node")(redraft)
