"""What an image looks like by its grey values alone, whatever its header says."""

from __future__ import annotations

from enum import StrEnum


class Appearance(StrEnum):
    """What an image clearly is; `UNSURE` where nothing is clear. The values are words for a reason."""

    FRONTAL = "frontal"
    """A frontal chest, upright, bone bright, the heart on the image's right: as it is read."""
    MIRRORED = "mirrored"
    """A frontal chest with the heart on the image's left; some patients' hearts lie there."""
    UPSIDE_DOWN = "upside down"
    SIDEWAYS = "on its side"
    INVERTED = "inverted"
    """A frontal chest with bone dark."""
    LATERAL = "lateral"
    NO_CHEST = "no chest"
    UNSURE = "unsure"
