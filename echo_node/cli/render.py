"""Studies, commitment requests and work items, printed on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from echo_node.cli.output import console, escape, print_table, styled_state

if TYPE_CHECKING:
    from echo_node.storage.operations.queries import Record


def print_study(record: Record) -> None:
    """Print a study's record without its work items."""
    out = console()
    out.print(f"[bold]study {record['study_id']}[/bold]  {styled_state(record['state'])}")
    if record["reason"]:
        out.print(f"  {escape(record['reason'])}")
    out.print(f"  {record['study_instance_uid']}")
    out.print(f"  from {escape(record['calling_ae_title'])}, revision {record['revision']}")
    removed = sum(row["removed_at"] is not None for row in record["instances"])
    gone = f", {removed} of them removed since (retention)" if removed else ""
    out.print(f"  {len(record['instances'])} instances{gone}, last {moment(record['received_at'])}")
    for withdrawal in record["withdrawals"]:
        by = escape(withdrawal["asked_by"]) or "the node itself"
        out.print(
            f"  [yellow]withdrawn[/yellow] up to revision {withdrawal['revision']} "
            f"({withdrawal['rejection']}), {moment(withdrawal['asked_at'])} by {by}"
        )
        if withdrawal["explanation"]:
            out.print(f"    {escape(withdrawal['explanation'])}", soft_wrap=True)
    for held in record["holds"]:
        _print_hold(record["study_id"], held)
    for document in record["documents"]:
        what = f"draft of revision {document['revision']} by {escape(document['model'])}"
        if document["is_note"]:
            what = f"note of the withdrawal up to revision {document['revision']}"
        withdrawn = ", [yellow]withdrawn[/yellow]" if document["is_withdrawn"] else ""
        pending = "" if document["is_made"] else " [yellow]could not be made[/yellow]; stored for a retry:"
        out.print(f"  {what}, {document['kind']}{withdrawn}{pending}")
        out.print(f"    {escape(document['path'])}", soft_wrap=True)
    for conflict in record["conflicts"]:
        out.print(
            f"  [yellow]set aside[/yellow]: different content for instance {conflict['instance_id']}, "
            f"{moment(conflict['received_at'])} from {escape(conflict['calling_ae_title'])}"
            f"{_resolution(conflict)}"
        )
        out.print(f"    {escape(conflict['path'])}", soft_wrap=True)
    for conflict in record["set_aside_elsewhere"]:
        out.print(
            f"  [yellow]set aside[/yellow]: an object of this study has the SOP Instance UID of an image in "
            f"study {conflict['study_id']}, {moment(conflict['received_at'])}{_resolution(conflict)}"
        )
    for instance in record["instances"]:
        if instance["excluded_at"]:
            out.print(
                f"  [yellow]excluded[/yellow]: instance {instance['instance_id']}, "
                f"{moment(instance['excluded_at'])}, by the resolution of a contradiction"
            )
            out.print(f"    {escape(instance['path'])}", soft_wrap=True)


def _print_hold(study_id: int, held: Record) -> None:
    """Print a hold, and its end or how to end it."""
    out = console()
    differing = f"; attributes: {', '.join(held['attributes'])}" if held["attributes"] else ""
    out.print(f"  [yellow]held[/yellow] in revision {held['revision']}, {moment(held['since'])}{differing}")
    out.print(f"    {escape(held['explanation'])}", soft_wrap=True)
    if held["ending"]:
        by = f" by {escape(held['ended_by'])}" if held["ended_by"] else ""
        out.print(f"    ended: {held['ending']}{by}, {moment(held['ended_at'])}")
    else:
        for row in held["objects"]:
            out.print(
                f"    {row['role']}: instance {row['instance_id']}, {moment(row['received_at'])} from "
                f"{escape(row['calling_ae_title'])}"
            )
            out.print(f"      {escape(row['path'])}", soft_wrap=True)
        decisions = "keep|replace" if held["can_replace"] else "keep"
        out.print(f"    `echo-node queue resolve {study_id} {decisions}` resolves it.")


def _resolution(conflict: Record) -> str:
    return f"; resolved: {conflict['resolution']}" if conflict["resolution"] else ""


def print_commitment_request(record: Record) -> None:
    """Print a modality's commitment request with the archive's answer for each instance."""
    out = console()
    out.print(
        f"[bold]commitment request {record['commitment_request_id']}[/bold]  {styled_state(record['state'])}"
    )
    if record["reason"]:
        out.print(f"  {escape(record['reason'])}")
    archive = escape(record["archive"]) or "none asked yet"
    out.print(f"  asked by {escape(record['calling_ae_title'])}; archive: {archive}")
    out.print(f"  {record['request_uid']}")
    for row in record["instances"]:
        answer = {True: "committed", False: f"failed {row['failure_reason']}", None: "not known yet"}
        out.print(f"  {row['sop_instance_uid']}  {answer[row['is_committed']]}")


def print_work(rows: Iterable[Record]) -> None:
    """Print a table of work items, and of studies."""
    print_table(
        "",
        ("id", "study", "state", "tries", "to", "status", "next", "reason"),
        (
            (
                row["id"],
                row.get("study_id"),
                styled_state(row["state"]),
                row.get("tries"),
                escape(row.get("destination")),
                row.get("status"),
                moment(row["available_at"]) if "available_at" in row else None,
                escape(row["reason"]),
            )
            for row in rows
        ),
        whole="id",
    )


def moment(iso: str) -> str:
    """Return a UTC time to the second."""
    return iso.replace("T", " ")[:19] + "Z"
