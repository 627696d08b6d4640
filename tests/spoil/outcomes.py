"""Outcomes of malformed headers, counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

DRAFTED, HELD, SKIPPED, REFUSED, EXCEPTION = "drafted", "held", "skipped", "refused", "exception"
_COUNTERS = ("all", "needless", "reasons", "lost")


@dataclass
class Outcomes:
    """Counts of one way of trying malformed headers.

    Attributes:
        all: outcomes of all of them.
        needless: outcomes of those with one malformed attribute that no draft needs.
        reasons: reasons against drafts, of all of them.
        lost: attribute, kind and reason of each of the needless ones that got no draft.
        faults: exceptions and invalid documents, described.
        checked: number of documents that a validator checked.
    """

    all: Counter[str] = field(default_factory=Counter)
    needless: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    checked: int = 0

    def add(self, how: Iterable[tuple[str, str]], *, needless: bool, outcome: str, reason: str = "") -> None:
        """Count one header."""
        self.all[outcome] += 1
        if reason:
            self.reasons[reason] += 1
        if needless:
            self.needless[outcome] += 1
            if outcome != DRAFTED:
                self.lost[f"{next(iter(how))}: {reason}"] += 1
        if outcome == EXCEPTION:
            self.faults.append(f"{list(how)}: {reason}")

    def join(self, other: Self) -> None:
        """Add the counts of another run."""
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.faults += other.faults
        self.checked += other.checked

    @property
    def share_drafted(self) -> float:
        """Share of the needless ones that got a draft; 1 if there are none."""
        total = self.needless.total()
        return self.needless[DRAFTED] / total if total else 1.0

    def as_json(self) -> dict[str, Any]:
        """Return the counts for a file."""
        counters = {name: dict(getattr(self, name)) for name in _COUNTERS}
        return {**counters, "faults": self.faults, "checked": self.checked}

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Self:
        """Return counts from a file."""
        counters = {name: Counter(kept[name]) for name in _COUNTERS}
        return cls(**counters, faults=list(kept["faults"]), checked=kept["checked"])
