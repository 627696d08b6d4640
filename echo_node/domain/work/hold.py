"""Hold of a study: no draft is made, and none is standing, until an operator resolves it."""

from __future__ import annotations

from enum import StrEnum


class Decision(StrEnum):
    """Decision of an operator about a contradiction, or of a peer's `on_conflict`."""

    KEEP = "keep"
    """The first object is right: those that contradict it are excluded from the study."""
    REPLACE = "replace"
    """The newest object is right: it takes the place of the older ones that it contradicts."""


class HoldEnding(StrEnum):
    """End of a hold."""

    KEEP = "keep"
    REPLACE = "replace"
    REDRAFT = "redraft"
    """An operator asked for a new draft."""
    SUPERSEDED = "superseded"
    """Something new arrived: the study is checked again."""
