"""Status of a node: studies and work by state, pauses, and the latest changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_node.domain.work.kinds import KINDS
from echo_node.domain.work.lifecycle import StudyState

if TYPE_CHECKING:
    from echo_node.storage.open import Storage
    from echo_node.storage.operations.queries import Record
    from echo_node.storage.queues.pauses import Paused

_DISPUTED = 3


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Status of a node.

    Attributes:
        studies: number of studies in each state, even if it is 0.
        work: number of work items in each state, by the plural of each kind.
        instances: number of instances received.
        documents: number of drafts made.
        conflicts: number of objects that were set aside, and about which nothing is decided.
        disputed: latest studies with such objects, at most three.
        held: studies that wait for an operator, held or withdrawn, each with its `hold`.
        paused: pauses that are effective.
        recent: studies that changed last.
    """

    studies: Mapping[str, int]
    work: Mapping[str, Mapping[str, int]]
    instances: int
    documents: int
    conflicts: int
    disputed: Sequence[int]
    held: Sequence[Record]
    paused: Sequence[Paused]
    recent: Sequence[Record]

    @property
    def has_dead_letters(self) -> bool:
        """Whether a study or a work item waits for an operator."""
        stuck = self.studies[StudyState.FAILED] + self.studies[StudyState.UNDELIVERED]
        return bool(stuck) or any(self.work[kind.name.plural][kind.dead] for kind in KINDS.values())


def node_status(storage: Storage, limit: int) -> NodeStatus:
    """Return the status of a node, with at most *limit* recent studies.

    Raises:
        TransientError: the database is unreachable.
    """
    overview = storage.queries.overview()
    return NodeStatus(
        studies=_counts(StudyState, overview.studies),
        work={
            plural: _counts(kind.states, overview.work[plural])
            for kind in KINDS.values()
            for plural in kind.plurals
        },
        instances=overview.instances,
        documents=overview.documents,
        conflicts=overview.conflicts,
        disputed=storage.queries.studies_with_conflicts(_DISPUTED),
        held=storage.queries.held_studies(),
        paused=storage.pauses.present(),
        recent=storage.queries.recent_studies(limit),
    )


def _counts(states: Iterable[str], counted: Mapping[str, int]) -> dict[str, int]:
    """Return the count of every state, even if it is 0, so that a monitor finds every key."""
    return {str(state): counted.get(str(state), 0) for state in states}
