"""References to studies and work items as an operator writes them: `7`, `job-12`, `delivery-3`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_node.domain.work.kinds import KINDS, WorkKind, kind_named

if TYPE_CHECKING:
    from echo_node.storage.open import Storage

_REFERENCE = re.compile(r"(?:(?P<kind>[a-z][a-z-]*)-)?(?P<number>[0-9]{1,15})")


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
        return str(self.number) if self.kind is None else self.kind.id_of(self.number)


def parse_reference(text: str) -> WorkReference:
    """Return the study or work item that a text names.

    Raises:
        ValueError: the text names neither; the message shows the valid forms.
    """
    match = _REFERENCE.fullmatch(text)
    kind = kind_named(match["kind"]) if match and match["kind"] else None
    if match is None or (match["kind"] and kind is None):
        forms = ", ".join(f"{each}-N" for each in KINDS)
        raise ValueError(f"write the number of a study, or {forms} as `echo-node queue list` shows them")
    return WorkReference(kind, int(match["number"]))


def study_of(storage: Storage, reference: WorkReference) -> int:
    """Return the id of the study that a reference names or belongs to.

    Raises:
        PermanentError: the work item does not exist, or belongs to no study.
    """
    if reference.kind is None:
        return reference.number
    return storage.queries.study_of(reference.kind, reference.number)
