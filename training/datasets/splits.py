"""Which split a patient belongs to: the source's own, or a stable draw by the pseudonym."""

from __future__ import annotations

import hashlib

from echo_node.errors import PermanentError
from training.datasets.example import SPLITS

HELD_OUT_SHARE = 0.05
"""The share of patients that goes to validation, and that goes to test."""

_WORDS = {
    "train": "train", "training": "train", "validate": "validation", "validation": "validation",
    "valid": "validation", "val": "validation", "dev": "validation", "test": "test",
}  # fmt: skip


class Splits:
    """Gives each patient one split, and holds to it."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def remember(self, patient_id: str, split: str) -> None:
        """Note the split of a patient who is in the data set already."""
        self._of[patient_id] = split

    def split(self, patient_id: str, stated: str) -> str:
        """Return the split of a patient.

        Args:
            patient_id: the pseudonym.
            stated: the source's word for the split; empty draws one from the pseudonym.

        Raises:
            PermanentError: the word is unknown, or the patient is in another split already.
        """
        split = _WORDS.get(stated.strip().casefold()) if stated.strip() else drawn(patient_id)
        if split is None:
            raise PermanentError(f"the split is none of {', '.join(SPLITS)}")
        if self._of.setdefault(patient_id, split) != split:
            raise PermanentError("the patient is in another split already")
        return split


def drawn(patient_id: str, validation: float = HELD_OUT_SHARE, test: float = HELD_OUT_SHARE) -> str:
    """Return the split that a pseudonym draws by the shares of the held-out ones, the same in every run."""
    digest = hashlib.sha256(f"split\0{patient_id}".encode()).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"
