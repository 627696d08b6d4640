"""Identity of patient and order, and how two of them differ.

Systems write the same patient in different ways. Only values that cannot be the same count as a
difference, and an absent value never does.
"""

from __future__ import annotations

from enum import StrEnum


class OnConflict(StrEnum):
    """Effect of other content that a peer sends under a known SOP Instance UID (`on_conflict`)."""

    HOLD = "hold"
    """No draft is made or left standing until the operator decides."""
    REPLACE = "replace"
    """The newer object is the truth."""
    KEEP = "keep"
    """The first object stays, unless patient or order differ: then as HOLD."""
