"""Accuracy of the view check on held-out phantoms, and how often it would reject a good image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echo_node.domain.studies.appearance import Appearance
from echo_node.inference.view_check import KNOWN, ViewCheck
from training.view_check.images import ImagePools, kind_of
from training.view_check.jitter import jittered_examples

NAMED = (*KNOWN, Appearance.UNSURE)
_BENIGN = (Appearance.FRONTAL, Appearance.MIRRORED, Appearance.UNSURE)
"""Answers with which an image is read if its header states a frontal view."""


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """Answers of the view check on held-out images.

    Attributes:
        confusion: counts; a row for each true class of KNOWN, a column for each answer of NAMED.
        called_frontal: number of images of each kind that are not chests but were called frontal.
    """

    confusion: NDArray[np.int64]
    called_frontal: dict[str, int]

    @property
    def refused(self) -> int:
        """Number of upright frontal chests that would be rejected in spite of their header."""
        row = self.confusion[KNOWN.index(Appearance.FRONTAL)]
        return int(sum(count for count, looks in zip(row, NAMED, strict=True) if looks not in _BENIGN))

    @property
    def frontal(self) -> int:
        """Number of upright frontal chests."""
        return int(self.confusion[KNOWN.index(Appearance.FRONTAL)].sum())

    @property
    def taken_for_frontal(self) -> int:
        """Number of other images that would be read if their header stated no view."""
        column = self.confusion[:, NAMED.index(Appearance.FRONTAL)]
        return int(column.sum() - column[KNOWN.index(Appearance.FRONTAL)])


def measure(check: ViewCheck, pools: ImagePools, counts: dict[Appearance, int], seed: int) -> HeldOutScores:
    """Run the check on jittered images of every class, taken from the pools in turn.

    Args:
        check: the check as the node runs it.
        pools: images of a seed that the check was not trained on.
        counts: number of examples of each class.
        seed: random seed of the jitter.
    """
    confusion = np.zeros((len(KNOWN), len(NAMED)), dtype=np.int64)
    called_frontal: dict[str, int] = {}
    for row, looks in enumerate(KNOWN):
        for start in range(0, counts[looks], 100):
            classes = np.full(min(100, counts[looks] - start), row)
            examples = jittered_examples(
                pools, classes, np.random.default_rng([seed, row, start]), first=start
            )
            for small, place in zip(examples.small, examples.places, strict=True):
                named = check.named(check.probabilities(small))
                confusion[row, NAMED.index(named)] += 1
                if looks is Appearance.NO_CHEST and named is Appearance.FRONTAL:
                    kind = kind_of(int(place))
                    called_frontal[kind] = called_frontal.get(kind, 0) + 1
    return HeldOutScores(confusion, called_frontal)


def table(measured: HeldOutScores) -> str:
    """Return the confusion table in Markdown."""
    lines: list[list[Any]] = [["it is", *(f"called {answer}" for answer in NAMED)]]
    lines += [["---", *("---:" for _ in NAMED)]]
    lines += [[looks, *row] for looks, row in zip(KNOWN, measured.confusion, strict=True)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
