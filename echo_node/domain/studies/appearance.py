"""Appearance of an image by its pixels alone, regardless of its header."""

from __future__ import annotations

from dataclasses import dataclass
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
    OBLIQUE = "oblique"
    """A chest that is turned by 30 to 60 degrees, to either side."""
    DECUBITUS = "decubitus"
    """A chest, shown upright, whose fluid or air has a level parallel to the spine."""
    NO_CHEST = "no chest"
    UNSURE = "unsure"


class Zone(StrEnum):
    """Consequence of the frontal probability. The operating points are stored with the weights."""

    READ = "read"
    MARKED = "read and marked"
    """Read if the header states a frontal view; the draft says that the pixels are doubtful."""
    REFUSED = "not read"
    """Not read, regardless of the header."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Result of the view check for one image.

    Attributes:
        appearance: most probable appearance, or `UNSURE` if none is probable enough.
        frontal: probability that the image is an upright frontal chest, mirrored or not.
        zone: consequence of this probability.
    """

    appearance: Appearance
    frontal: float
    zone: Zone
