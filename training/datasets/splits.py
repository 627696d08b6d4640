"""Assignment of patients to splits: as the source states, or else drawn from the pseudonym."""

from __future__ import annotations

import hashlib

from echo_node.errors import PermanentError
from training.datasets.example import SPLITS

HELD_OUT_SHARE = 0.05
"""Share of patients in the validation split, and in the test split."""

_WORDS = {
    "train": "train", "training": "train", "validate": "validation", "validation": "validation",
    "valid": "validation", "val": "validation", "dev": "validation", "test": "test",
}  # fmt: skip


class Splits:
    """Splits of patients; each patient has exactly one."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def remember(self, patient_id: str, split: str) -> None:
        """Remember the split of a patient who is already in the data set."""
        self._of[patient_id] = split

    def split(self, patient_id: str, stated: str) -> str:
        """Return the split of a patient.

        Args:
            patient_id: pseudonym of the patient.
            stated: word that the source uses for the split; if empty, the pseudonym decides.

        Raises:
            PermanentError: the word is unknown, or the patient is already in another split.
        """
        split = _WORDS.get(stated.strip().casefold()) if stated.strip() else drawn(patient_id)
        if split is None:
            raise PermanentError(f"the split is not one of {', '.join(SPLITS)}")
        if self._of.setdefault(patient_id, split) != split:
            raise PermanentError("the patient is already in another split")
        return split


def drawn(patient_id: str, validation: float = HELD_OUT_SHARE, test: float = HELD_OUT_SHARE) -> str:
    """Return the split drawn for a pseudonym; it is the same in every run.

    Args:
        patient_id: pseudonym of the patient.
        validation: share of patients in the validation split.
        test: share of patients in the test split.
    """
    digest = hashlib.sha256(f"split\0{patient_id}".encode()).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"
