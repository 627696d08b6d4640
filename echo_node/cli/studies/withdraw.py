"""`echo-node retract` and `echo-node redraft`: a draft is taken back everywhere, and perhaps made anew."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from echo_node import codes
from echo_node.cli import options
from echo_node.cli.open_storage import existing_storage
from echo_node.cli.output import console, escape, print_json, print_table, styled_state
from echo_node.cli.studies.queue import Id, study_of
from echo_node.domain.work.job import DeliveryState
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import RejectionReason
from echo_node.errors import PermanentError

Record = dict[str, Any]

_UNDER_WAY = {DeliveryState.PENDING, DeliveryState.SENDING}
_WAIT_S = 1.0


class _Draft(StrEnum):
    """What a destination has of a draft that was withdrawn."""

    DELIVERED = "has it"
    PERHAPS = "may have it"
    SENDING = "is being sent it"
    NEVER = "never got it"


def retract(
    id_: Id,
    reason: Annotated[
        RejectionReason,
        typer.Option("--reason", help="Why; the title of the note that the PACS gets.", show_default=True),
    ] = RejectionReason.PATIENT_SAFETY,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who withdraws it; else your login and host.")
    ] = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when every destination has its note, or refused it.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Withdraw the drafts of a study, wherever they were delivered.

    What has not been sent is stopped. Whoever has a draft, or may have it,
    gets a note: a PACS a Key Object Selection that rejects the objects (IHE
    IOCM), a reporting system a correction (ORU^R01, OBX-11 W). Nothing new
    is drafted for the study, whatever images come, until `echo-node redraft`.

    [bold]Reasons[/bold]

      patient-safety   113037  wrong or dangerous text, perhaps another patient
      worklist         113038  the images were made under a wrong order
      quality          113001  the images or the draft are not good enough
      retention        113039  right, but not to be kept any longer

    The node delivers the notes: it must run. Again, the same command says how
    far they are, and withdraws nothing twice; `echo-node queue show ID` too.
    A PACS that does not know IOCM shows the note beside the draft: have the
    draft deleted there.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        study_id = study_of(storage, id_)
        done_now = storage.withdrawals.withdraw(study_id, reason, (by or _operator())[:128])
        record = storage.queries.show(study_id)
        while wait and _is_under_way(record):
            time.sleep(_WAIT_S)
            record = storage.queries.show(study_id)
    if json:
        print_json(_as_json(record, done_now=done_now))
    else:
        _print(record, done_now=done_now)
    if wait and record["state"] != StudyState.WITHDRAWN:
        raise PermanentError(f"study {study_id} is not withdrawn everywhere: {record['reason']}")


def redraft(
    id_: Id,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    *,
    json: options.Json = False,
) -> None:
    """Draft a withdrawn study anew, from the images that it has now.

    It becomes a new revision, with new objects, which do not name those that
    were withdrawn. Notes that are still under way are delivered all the same.
    A study whose images name two patients is skipped again.
    """
    settings = options.load_settings(config, data_dir=data_dir, database_url=database_url).settings
    with existing_storage(settings) as storage:
        study_id = study_of(storage, id_)
        revision = storage.withdrawals.redraft(study_id)
    if json:
        print_json({"study_id": study_id, "revision": revision})
    else:
        typer.echo(f"Study {study_id} is drafted anew, as revision {revision}.")


def _operator() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _is_under_way(record: Record) -> bool:
    """Say whether something may still come of it without an operator."""
    if record["state"] != StudyState.WITHDRAWING:
        return False
    open_notes = any(row["state"] in _UNDER_WAY for row in _notes(record))
    return open_notes or record["withdrawals"][-1]["state"] in {"pending", "preparing"}


def _print(record: Record, *, done_now: bool) -> None:
    out, withdrawal = console(), record["withdrawals"][-1]
    title = codes.code("rejection", withdrawal["rejection"])
    by = f" by {escape(withdrawal['asked_by'])}" if withdrawal["asked_by"] else ""
    at = withdrawal["asked_at"].replace("T", " ")[:19] + "Z"
    already = "" if done_now else "already, "
    out.print(
        f"[bold]study {record['study_id']}[/bold]  {styled_state(record['state'])}  "
        f"{already}{at}{by}: {title.meaning} ({title.value}, {title.scheme})"
    )
    rows = list(_destinations(record))
    if rows:
        print_table(
            "",
            ("destination", "draft", "revision", "", "note"),
            (
                (
                    escape(row["destination"]),
                    row["kind"],
                    row["revision"],
                    row["draft"],
                    styled_state(row["note"]) if row["note"] else "none needed",
                )
                for row in rows
            ),
        )
    else:
        out.print("No draft of it was delivered anywhere.")
    if withdrawal["state"] == "dead":
        out.print(
            f"[bold red]The notes cannot be made[/bold red]: {escape(withdrawal['reason'])}; "
            f"`echo-node queue retry withdrawal-{withdrawal['withdrawal_id']}` tries again."
        )
    elif any(row["state"] == "dead" for row in _notes(record)):
        out.print(
            "[bold red]A destination refused its note[/bold red]: `echo-node queue list --dead` says why."
        )
    elif record["state"] == StudyState.WITHDRAWING:
        out.print("Still under way: the node delivers the notes; the same command says how far they are.")
    out.print(f"No new draft is made until `echo-node redraft {record['study_id']}`.")


def _as_json(record: Record, *, done_now: bool) -> Record:
    withdrawal = record["withdrawals"][-1]
    title = codes.code("rejection", withdrawal["rejection"])
    return {
        "study_id": record["study_id"],
        "state": record["state"],
        "withdrawn_now": done_now,
        "reason": withdrawal["rejection"],
        "code": title.value,
        "explanation": withdrawal["explanation"],
        "asked_by": withdrawal["asked_by"],
        "asked_at": withdrawal["asked_at"],
        "destinations": list(_destinations(record)),
    }


def _destinations(record: Record) -> Iterator[Record]:
    """Yield each draft that was withdrawn at each destination, and how far the note about it is there."""
    of_document = {row["document_id"]: row for row in record["documents"]}
    about = {
        (uid, note["destination"]): note
        for note in _notes(record)
        for uid in of_document[note["document_id"]]["input_sop_instance_uids"]
    }
    prepared = record["withdrawals"][-1]["state"] == "prepared"
    for delivery in record["deliveries"]:
        document = of_document[delivery["document_id"]]
        if not document["is_withdrawn"]:
            continue
        draft = _draft(delivery)
        note = about.get((document["sop_instance_uid"], delivery["destination"]))
        waits = draft is not _Draft.NEVER and not prepared
        yield {
            "destination": delivery["destination"],
            "kind": document["kind"],
            "revision": document["revision"],
            "draft": draft.value,
            "note": note["state"] if note else ("pending" if waits else None),
        }


def _draft(delivery: Record) -> _Draft:
    if delivery["state"] == DeliveryState.SENDING:
        return _Draft.SENDING
    if delivery["state"] != DeliveryState.STOPPED:
        return _Draft.DELIVERED
    return _Draft.PERHAPS if delivery["attempt"] else _Draft.NEVER


def _notes(record: Record) -> list[Record]:
    notes = {row["document_id"] for row in record["documents"] if row["is_note"]}
    return [row for row in record["deliveries"] if row["document_id"] in notes]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel="The node")(retract)
    app.command(rich_help_panel="The node")(redraft)
