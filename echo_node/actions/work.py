"""Work of the node: list it, show a study, release dead letters, prioritise, pause, resume."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from echo_node.actions.operator import OPERATOR_LENGTH
from echo_node.actions.references import WorkReference, study_of
from echo_node.domain.work.hold import Decision
from echo_node.domain.work.kinds import JOB, KINDS, WorkKind
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.pausable import Pausable
from echo_node.errors import PermanentError

if TYPE_CHECKING:
    from echo_node.storage.open import Storage
    from echo_node.storage.operations.queries import Record


def list_work(
    storage: Storage, *, dead_only: bool = False, with_finished: bool = False, limit: int = 50
) -> list[Record]:
    """Return the newest work items by kind and state: dead letters, then open work by progress.

    Args:
        storage: the node's storage.
        dead_only: return dead letters only.
        with_finished: return finished work too.
        limit: maximum number of items of each kind and state.
    """
    return [
        _with_reference(kind, {"kind": str(kind), **row})
        for kind in KINDS.values()
        for state in _listed_states(kind, dead_only=dead_only, with_finished=with_finished)
        for row in storage.queries.list_work(kind, state, limit)
    ]


def list_in_state(storage: Storage, state: str, limit: int = 50) -> list[Record]:
    """Return the studies and work items in a state, studies first.

    Held studies are all that wait for an operator, even if they were withdrawn.

    Raises:
        PermanentError: neither studies nor work items have such a state.
    """
    kinds = [kind for kind in KINDS.values() if state in set(kind.states)]
    if state not in set(StudyState) and not kinds:
        known = dict.fromkeys([*StudyState, *(each for kind in KINDS.values() for each in kind.states)])
        raise PermanentError(f"there is no state '{state}': the states are {', '.join(map(str, known))}")
    queries = storage.queries
    if state == StudyState.HELD:
        studies = queries.held_studies(limit)
    else:
        studies = queries.studies_in(StudyState(state), limit) if state in set(StudyState) else []
    return [{"id": str(row["study_id"]), "kind": "study", **row, **_hold_of(row)} for row in studies] + [
        _with_reference(kind, {"kind": str(kind), **row})
        for kind in kinds
        for row in queries.list_work(kind, next(each for each in kind.states if each == state), limit)
    ]


def _hold_of(row: Record) -> Record:
    """Return the reason of the hold of a study that is held, also if it was withdrawn."""
    return {"reason": row["hold"]["explanation"]} if "hold" in row else {}


def resolve(storage: Storage, study_id: int, decision: Decision, by: str) -> int:
    """Resolve what contradicts itself in a study, and draft the study again.

    Args:
        storage: the node's storage.
        study_id: study that waits for an operator.
        decision: the object that is right: the first, or the newest.
        by: operator, as the record shows it; at most 128 characters are kept.

    Returns:
        The new revision.

    Raises:
        PermanentError: there is no such study, it is not held, or nothing newer can replace.
    """
    return storage.resolutions.resolve(study_id, decision, by[:OPERATOR_LENGTH])


def show_study(storage: Storage, reference: WorkReference) -> Record:
    """Return everything known about a study, with the location of each file.

    Raises:
        PermanentError: there is no such study or work item.
    """
    record = storage.queries.show(study_of(storage, reference))
    excluded = [row for row in record["instances"] if row["excluded_at"]]
    contending = [row for held in record["holds"] for row in held["objects"]]
    for row in (*record["documents"], *record["conflicts"], *excluded, *contending):
        row["path"] = storage.objects.location(row["path"])
    return record


def work_of(record: Record) -> list[Record]:
    """Return the work items in a study's record, each with its reference."""
    return [
        {"study_id": record["study_id"], **_with_reference(kind, row)}
        for kind in KINDS.values()
        for row in record[kind.name.plural]
    ]


def release(storage: Storage, reference: WorkReference) -> Sequence[WorkReference]:
    """Release a dead letter, or every dead letter of a study. Return the released items.

    Raises:
        PermanentError: there is no such dead letter, or the study has none.
    """
    if reference.kind is not None:
        storage.release(reference.kind, reference.number)
        return [reference]
    record = storage.queries.show(reference.number)
    dead = [
        (kind, int(row[kind.id_key]))
        for kind in KINDS.values()
        for row in record[kind.name.plural]
        if row["state"] == kind.dead and (kind is not JOB or row["revision"] == record["revision"])
    ]
    if not dead:
        held = any(each["ending"] is None for each in record["holds"])
        remedy = (
            f"`echo-node queue resolve {reference.number}` is for held studies"
            if held
            else "there is nothing to retry"
        )
        raise PermanentError(f"study {reference.number} ({record['state']}) has no dead letters: {remedy}")
    for kind, number in dead:
        storage.release(kind, number)
    return [WorkReference(kind, number) for kind, number in dead]


def prioritise(storage: Storage, reference: WorkReference) -> int:
    """Draft a study and its later revisions before studies that are not urgent. Return its id.

    Raises:
        PermanentError: there is no such study or work item.
    """
    study_id = study_of(storage, reference)
    storage.jobs.prioritise(study_id)
    return study_id


def pause(storage: Storage, what: Pausable, reason: str) -> None:
    """Pause drafting or delivery on all machines; work in progress is finished."""
    storage.pauses.begin(what, reason)


def in_progress(storage: Storage, what: Pausable) -> int:
    """Return the number of work items that workers still have in progress."""
    return storage.queries.running(what)


def resume(storage: Storage, what: Pausable) -> bool:
    """Resume what was paused. Return whether it was paused."""
    return storage.pauses.end(what)


def _listed_states(kind: WorkKind, *, dead_only: bool, with_finished: bool) -> list[StrEnum]:
    """Return the states to list: dead, then open ones (later states first), then finished ones."""
    if dead_only:
        return [kind.dead]
    finished = [state for state in kind.states if state in kind.finished]
    open_states = [state for state in kind.states if state not in kind.finished and state != kind.dead]
    return [kind.dead, *reversed(open_states), *(finished if with_finished else [])]


def _with_reference(kind: WorkKind, row: Record) -> Record:
    """Return a row with the reference that commands accept."""
    return {"id": str(WorkReference(kind, row[kind.id_key])), **row}
