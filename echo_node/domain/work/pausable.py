"""Work that an operator can pause."""

from __future__ import annotations

from enum import StrEnum


class Pausable(StrEnum):
    """Work that can be paused, on all machines of a node at once; intake cannot."""

    DRAFTING = "drafting"
    DELIVERY = "delivery"
