"""Frontal probabilities on images that the view check was not trained on, and its operating points.

Everything is measured on the probability of an upright frontal chest, by groups of images: hard
frontal phantoms by kind, the views that must not be read, jittered phantoms by class, and
projections of a CT by angle. The limits of the zones are set on other phantoms than these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echo_node.domain.studies.appearance import Appearance, Zone
from echo_node.inference.view_check import KNOWN, ViewCheck
from training.view_check.ct import CtChest
from training.view_check.images import ImagePools, hard_kind_of, rendered
from training.view_check.jitter import jittered_examples
from training.view_check.scenes import HARD, decubitus, hard_frontal, lateral, oblique, on_the_side

Groups = Mapping[str, NDArray[np.float64]]
"""Frontal probabilities of each group of images."""

REFUSED_VIEWS: Mapping[str, Callable[[np.random.Generator, int], NDArray[np.uint8]]] = {
    "lateral": lateral,
    "oblique": oblique,
    "decubitus, as taken": on_the_side,
    "decubitus, upright, with a level": decubitus,
}

_SIZE = 128
_LOST_SHARE = 0.004
"""Share of hard frontal phantoms that the limit of MARKED may lose."""

_READ_SHARE = 0.02
"""Share of laterals, obliques and decubitus that the limit of READ may leave unmarked."""

_MARKED_BOUNDS, _READ_BOUNDS = (0.02, 0.2), (0.6, 0.75)
"""Bounds of the limits: real images differ more from phantoms than phantoms from each other."""

_TURNS = 6
"""Projections of the CT for each angle."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Frontal probabilities of images that the check was not trained on.

    Attributes:
        hard: hard frontal phantoms, by kind.
        refused: phantoms that must not be read, by view.
        jittered: jittered phantoms and other images, by class.
        turned: projections of a CT, by the angle to the frontal or posterior view, in degrees.
        limits: minimum frontal probabilities of the zones.
    """

    hard: Groups
    refused: Groups
    jittered: Groups
    turned: Groups
    limits: Mapping[Zone, float]

    def lost(self) -> float:
        """Return the share of hard frontal phantoms that are not read."""
        return float(np.mean(joined(self.hard) < self.limits[Zone.MARKED]))

    def marked(self) -> float:
        """Return the share of hard frontal phantoms that are read and marked."""
        return float(np.mean(joined(self.hard) < self.limits[Zone.READ])) - self.lost()

    def refusals(self) -> float:
        """Return the share of laterals, obliques and decubitus that are not read."""
        return float(np.mean(joined(self.refused) < self.limits[Zone.MARKED]))


def joined(groups: Groups) -> NDArray[np.float64]:
    """Return the probabilities of all groups together."""
    return np.concatenate(list(groups.values()))


def frontal_probabilities(check: ViewCheck, small_BHW: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the probability of an upright frontal chest of each image (B,)."""
    return np.array([check.sight(check.probabilities(each)).frontal for each in small_BHW])


def hard_phantoms(
    seed: int, frontal: int, others: int, note: Callable[[], None] = lambda: None
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, NDArray[np.uint8]]]:
    """Return hard frontal phantoms by kind, and phantoms of the views that must not be read.

    Args:
        seed: random seed; each seed has other phantoms.
        frontal: number of frontal phantoms.
        others: number of phantoms of the other views together.
        note: called after each image.
    """
    kinds = [hard_kind_of(place) for place in range(frontal)]
    images = rendered(
        frontal,
        lambda place: hard_frontal(kinds[place], np.random.default_rng([seed, 12, place]), _SIZE),
        note,
    )
    hard = {kind: images[[place for place in range(frontal) if kinds[place] == kind]] for kind in HARD}
    views = {}
    for number, (name, make) in enumerate(REFUSED_VIEWS.items()):
        count = len(range(number, others, len(REFUSED_VIEWS)))
        views[name] = rendered(count, _seeded(make, seed, 13 + number), note)
    return hard, views


def _seeded(
    make: Callable[[np.random.Generator, int], NDArray[np.uint8]], seed: int, stream: int
) -> Callable[[int], NDArray[np.uint8]]:
    return lambda place: make(np.random.default_rng([seed, stream, place]), _SIZE)


def operating_limits(
    check: ViewCheck, hard: Mapping[str, NDArray[np.uint8]], others: Mapping[str, NDArray[np.uint8]]
) -> dict[Zone, float]:
    """Return the limits of the zones that these phantoms give."""
    frontal = np.concatenate([frontal_probabilities(check, each) for each in hard.values() if len(each)])
    refused = np.concatenate([frontal_probabilities(check, each) for each in others.values() if len(each)])
    marked = float(np.clip(np.quantile(frontal, _LOST_SHARE), *_MARKED_BOUNDS))
    read = float(np.clip(np.quantile(refused, 1.0 - _READ_SHARE), *_READ_BOUNDS))
    return {Zone.READ: round(max(read, marked), 3), Zone.MARKED: round(marked, 3)}


def jittered_probabilities(
    check: ViewCheck, pools: ImagePools, counts: Mapping[Appearance, int], seed: int
) -> dict[str, NDArray[np.float64]]:
    """Return the frontal probabilities of jittered examples of each class, in order."""
    found = {}
    for row, looks in enumerate(KNOWN):
        parts = []
        for start in range(0, counts[looks], 100):
            classes = np.full(min(100, counts[looks] - start), row)
            examples = jittered_examples(
                pools, classes, np.random.default_rng([seed, row, start]), first=start
            )
            parts.append(frontal_probabilities(check, examples.small))
        found[str(looks)] = np.concatenate(parts)
    return found


def turned_probabilities(check: ViewCheck, ct: CtChest, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return the frontal probabilities of projections of a CT, by the angle to the frontal view."""
    found: dict[str, list[float]] = {f"{angle}°": [] for angle in range(0, 100, 10)}
    for turn in range(0, 360, 10):
        images = rendered(_TURNS, _projected(ct, turn, seed))
        away = min(turn % 180, 180 - turn % 180)
        found[f"{away}°"] += frontal_probabilities(check, images).tolist()
    return {angle: np.array(values) for angle, values in found.items()}


def _projected(ct: CtChest, turn: int, seed: int) -> Callable[[int], NDArray[np.uint8]]:
    return lambda place: ct.radiograph(np.deg2rad(turn), np.random.default_rng([seed, 20, turn, place]))


def zone_table(groups: Groups, limits: Mapping[Zone, float], first: str) -> str:
    """Return a Markdown table with the number of images of each group in each zone."""
    lines = [f"| {first} | images | {' | '.join(Zone)} |", "| --- |" + " ---: |" * (1 + len(Zone))]
    for name, found in groups.items():
        read = int((found >= limits[Zone.READ]).sum())
        refused = int((found < limits[Zone.MARKED]).sum())
        lines.append(f"| {name} | {len(found)} | {read} | {len(found) - read - refused} | {refused} |")
    return "\n".join(lines)
