"""Appearance of an image by its pixels alone, regardless of its header."""

from __future__ import annotations

from enum import StrEnum


class Appearance(StrEnum):
    """Clear appearance of an image, or `UNSURE`. Reasons quote the values."""

    FRONTAL = "frontal"
    """An upright frontal chest with bright bone and the heart on the image's right."""
    MIRRORED = "mirrored"
    """A frontal chest with the heart on the image's left, as a few patients have it."""
    UPSIDE_DOWN = "upside down"
    SIDEWAYS = "on its side"
    INVERTED = "inverted"
    """A frontal chest with dark bone."""
    LATERAL = "lateral"
    NO_CHEST = "no chest"
    UNSURE = "unsure"
