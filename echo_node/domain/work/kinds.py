"""Kinds of work: the one table that queries, commands, metrics, pauses and release read.

A new kind of work is one row of KINDS. Its mapped table, queue and stage are code of their layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from echo_node.domain.work.commitment import CommitmentRequestState, CommitmentState
from echo_node.domain.work.job import DeliveryState, JobState
from echo_node.domain.work.pausable import Pausable
from echo_node.domain.work.withdrawal import WithdrawalState


@dataclass(frozen=True, slots=True)
class Step:
    """Step of a kind of work: one queue, from which workers claim rows.

    Attributes:
        ready: state of the rows that wait for a worker.
        running: state of the rows that a worker has claimed.
        topic: topic of the notifications that wake its workers. It is a NOTIFY payload: program
            versions share a database during a rolling upgrade, so it never changes.
        activity: activity of its workers, for messages: "its worker was lost while drafting".
    """

    ready: StrEnum
    running: StrEnum
    topic: str
    activity: str


@dataclass(frozen=True, slots=True)
class Name:
    """Name of a kind of work.

    Attributes:
        singular: beginning of the ids that commands print and take: `job-7`.
        plural: key of its counts in `status --json`, and end of its metric's name.
    """

    singular: str
    plural: str


@dataclass(frozen=True, slots=True)
class WorkKind:
    """Row of the table of the kinds of work.

    Attributes:
        name: name in commands, records and metrics.
        table: name of its SQL table.
        states: its states, in the order in which a row passes through them.
        finished: states that end a row, except *dead*.
        dead: state of dead letters.
        steps: its queues, in the order in which a row passes through them.
        pausable: operator's pause that stops it.
        status_line: when `status` prints a line for it; a study's own state shows what its jobs do.
        former_names: names of earlier versions. Commands accept them, and counts are served under
            them too.
    """

    name: Name
    table: str
    states: type[StrEnum]
    finished: frozenset[StrEnum]
    dead: StrEnum
    steps: tuple[Step, ...]
    pausable: Pausable
    status_line: Literal["always", "if any", "never"] = "if any"
    former_names: tuple[Name, ...] = ()

    def __str__(self) -> str:
        return self.name.singular

    @property
    def label(self) -> str:
        """The plural as text for a person."""
        return self.name.plural.replace("_", " ")

    @property
    def plurals(self) -> tuple[str, ...]:
        """The plural, and those of earlier versions."""
        return tuple(name.plural for name in (self.name, *self.former_names))

    @property
    def id_key(self) -> str:
        """Key of a row's id in its record."""
        return f"{self.name.singular.replace('-', '_')}_id"

    def id_of(self, row_id: int) -> str:
        """Return the id of a row as commands print it."""
        return f"{self.name.singular}-{row_id}"


DRAFTING = Step(JobState.READY, JobState.RUNNING, "jobs", "drafting")
SENDING = Step(DeliveryState.PENDING, DeliveryState.SENDING, "deliveries", "sending")
ASKING = Step(CommitmentState.PENDING, CommitmentState.ASKING, "commitments", "asking")
ASKING_ARCHIVE = Step(
    CommitmentRequestState.PENDING, CommitmentRequestState.ASKING, "promises", "asking the archive"
)
ANSWERING = Step(CommitmentRequestState.SETTLED, CommitmentRequestState.ANSWERING, "answers", "answering")
MAKING_NOTES = Step(WithdrawalState.PENDING, WithdrawalState.PREPARING, "withdrawals", "making the notes")

JOB = WorkKind(
    Name("job", "jobs"),
    "jobs",
    JobState,
    frozenset({JobState.DONE, JobState.SKIPPED, JobState.SUPERSEDED}),
    JobState.DEAD,
    (DRAFTING,),
    Pausable.DRAFTING,
    status_line="never",
)
DELIVERY = WorkKind(
    Name("delivery", "deliveries"),
    "deliveries",
    DeliveryState,
    frozenset({DeliveryState.DELIVERED, DeliveryState.DELIVERED_WITH_WARNING, DeliveryState.STOPPED}),
    DeliveryState.DEAD,
    (SENDING,),
    Pausable.DELIVERY,
    status_line="always",
)
COMMITMENT = WorkKind(
    Name("commitment", "commitments"),
    "commitments",
    CommitmentState,
    frozenset({CommitmentState.COMMITTED}),
    CommitmentState.DEAD,
    (ASKING,),
    Pausable.DELIVERY,
)
COMMITMENT_REQUEST = WorkKind(
    Name("commitment-request", "commitment_requests"),
    "promises",
    CommitmentRequestState,
    frozenset({CommitmentRequestState.ANSWERED}),
    CommitmentRequestState.DEAD,
    (ASKING_ARCHIVE, ANSWERING),
    Pausable.DELIVERY,
    former_names=(Name("promise", "promises"),),
)
WITHDRAWAL = WorkKind(
    Name("withdrawal", "withdrawals"),
    "withdrawals",
    WithdrawalState,
    frozenset({WithdrawalState.PREPARED}),
    WithdrawalState.DEAD,
    (MAKING_NOTES,),
    Pausable.DELIVERY,
)

KINDS = {str(kind): kind for kind in (JOB, DELIVERY, COMMITMENT, COMMITMENT_REQUEST, WITHDRAWAL)}
"""The kinds of work by name, in the order in which commands list them."""


def kind_named(name: str) -> WorkKind | None:
    """Return the kind of this name, or former name; None if there is none."""
    for kind in KINDS.values():
        if name in {each.singular for each in (kind.name, *kind.former_names)}:
            return kind
    return None


def steps_of(pausable: Pausable) -> tuple[Step, ...]:
    """Return the steps that a pause stops."""
    return tuple(step for kind in KINDS.values() if kind.pausable is pausable for step in kind.steps)
