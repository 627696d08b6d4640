"""Read models that the endpoints need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from echo_node.domain.work.kinds import WorkKind


class StateCounts(Protocol):
    """Counts by state."""

    @property
    def studies(self) -> Mapping[str, int]:
        """Studies by state."""
        ...

    @property
    def work(self) -> Mapping[str, Mapping[str, int]]:
        """Work items by state, for each kind by its plural."""
        ...

    @property
    def instances(self) -> int:
        """Instances received."""
        ...

    @property
    def documents(self) -> int:
        """Drafts made."""
        ...

    @property
    def conflicts(self) -> int:
        """Objects that were set aside, and about which nothing is decided."""
        ...

    @property
    def held(self) -> int:
        """Studies that wait for an operator, held or withdrawn."""
        ...


class StatusQueries(Protocol):
    """Read models for the pages. The Queries of storage implement it."""

    def ping(self) -> None:
        """Send a trivial query to the database; TransientError if it does not answer."""
        ...

    def overview(self) -> StateCounts:
        """Return all counts by state."""
        ...

    def recent_studies(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the studies that changed most recently."""
        ...

    def list_work(self, kind: WorkKind, *, limit: int) -> list[dict[str, Any]]:
        """Return the newest work items of a kind."""
        ...
