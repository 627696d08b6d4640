"""How often the check is right on phantoms that it has not seen, and how often it refuses a good image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echo_node.domain.studies.appearance import Appearance
from echo_node.inference.view_check import KNOWN, ViewCheck
from training.view_check.jitter import laid
from training.view_check.pictures import Pictures, kind_of

NAMED = (*KNOWN, Appearance.UNSURE)
_BENIGN = (Appearance.FRONTAL, Appearance.MIRRORED, Appearance.UNSURE)
"""What lets an image be read whose header says that it is frontal."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the check says of held-out pictures.

    Attributes:
        confusion: counts, a row for each class of KNOWN as it is, a column for each of NAMED as it is called.
        called_frontal: pictures that are no chest and are called frontal, by their kind.
    """

    confusion: NDArray[np.int64]
    called_frontal: dict[str, int]

    @property
    def refused(self) -> int:
        """How many upright frontal chests would be refused in spite of their header."""
        row = self.confusion[KNOWN.index(Appearance.FRONTAL)]
        return int(sum(count for count, looks in zip(row, NAMED, strict=True) if looks not in _BENIGN))

    @property
    def frontal(self) -> int:
        """How many upright frontal chests there were."""
        return int(self.confusion[KNOWN.index(Appearance.FRONTAL)].sum())

    @property
    def taken_for_frontal(self) -> int:
        """How many others would be read if their headers said no view."""
        column = self.confusion[:, NAMED.index(Appearance.FRONTAL)]
        return int(column.sum() - column[KNOWN.index(Appearance.FRONTAL)])


def measure(check: ViewCheck, pictures: Pictures, each: dict[Appearance, int], seed: int) -> Measured:
    """Jitter so many pictures of every class, each in its turn, and ask the check as it is shipped.

    Args:
        check: as it serves.
        pictures: of another seed than it was trained on.
        each: how many of a class.
        seed: of the jitter.
    """
    confusion = np.zeros((len(KNOWN), len(NAMED)), dtype=np.int64)
    called_frontal: dict[str, int] = {}
    for row, looks in enumerate(KNOWN):
        for start in range(0, each[looks], 100):
            classes = np.full(min(100, each[looks] - start), row)
            examples = laid(pictures, classes, np.random.default_rng([seed, row, start]), first=start)
            for small, place in zip(examples.small, examples.places, strict=True):
                named = check.named(check.probabilities(small))
                confusion[row, NAMED.index(named)] += 1
                if looks is Appearance.NO_CHEST and named is Appearance.FRONTAL:
                    kind = kind_of(int(place))
                    called_frontal[kind] = called_frontal.get(kind, 0) + 1
    return Measured(confusion, called_frontal)


def table(measured: Measured) -> str:
    """Return the confusion table in Markdown."""
    lines: list[list[Any]] = [["it is", *(f"called {each}" for each in NAMED)]]
    lines += [["---", *("---:" for _ in NAMED)]]
    lines += [[looks, *row] for looks, row in zip(KNOWN, measured.confusion, strict=True)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
