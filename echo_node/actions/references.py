"""References to studies and work items as an operator writes them: `7`, `job-12`, `delivery-3`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_node.domain.work.job import WorkKind

if TYPE_CHECKING:
    from echo_node.storage.open import Storage

RECORD_KEYS: dict[WorkKind, str] = {
    "job": "jobs",
    "delivery": "deliveries",
    "commitment": "commitments",
    "promise": "promises",
    "withdrawal": "withdrawals",
}
"""Kinds of work, each with the key of its list in a study's record."""

_REFERENCE = re.compile(rf"(?:(?P<kind>{'|'.join(RECORD_KEYS)})-)?(?P<number>[0-9]{{1,15}})")
_KINDS: dict[str, WorkKind] = {kind: kind for kind in RECORD_KEYS}


@dataclass(frozen=True, slots=True)
class WorkReference:
    """A study or a work item.

    Attributes:
        kind: kind of the work item; None for a study.
        number: surrogate id of the study or work item.
    """

    kind: WorkKind | None
    number: int

    def __str__(self) -> str:
        """Return the reference as an operator writes it."""
        return str(self.number) if self.kind is None else f"{self.kind}-{self.number}"


def parse_reference(text: str) -> WorkReference:
    """Return the study or work item that a text names.

    Raises:
        ValueError: the text names neither; the message shows the valid forms.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        forms = ", ".join(f"{kind}-N" for kind in RECORD_KEYS)
        raise ValueError(f"write the number of a study, or {forms} as `echo-node queue list` shows them")
    return WorkReference(_KINDS.get(match["kind"] or ""), int(match["number"]))


def study_of(storage: Storage, reference: WorkReference) -> int:
    """Return the id of the study that a reference names or belongs to.

    Raises:
        PermanentError: the work item does not exist, or belongs to no study.
    """
    if reference.kind is None:
        return reference.number
    return storage.queries.study_of(reference.kind, reference.number)
