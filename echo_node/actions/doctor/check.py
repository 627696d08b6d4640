"""Result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """Result of a check; a note is worth knowing but not a failure."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the node needs, checked.

    Attributes:
        name: short name of the thing, such as `disk` or `peer pacs`.
        grade: result of the check.
        message: state of the thing.
        remedy: what to do about a note or a failure.
    """

    name: str
    grade: Grade
    message: str
    remedy: str = ""
