"""Sets of phantom cases: addressed by index, made on demand, the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from training.phantom.findings import Findings, View
from training.phantom.language.grammar import PhantomReport, write_report
from training.phantom.language.phrasebook import Language
from training.phantom.prevalence import sample_findings
from training.phantom.rendering.radiograph import render


@dataclass(frozen=True, slots=True)
class PhantomCase:
    """One study of a set.

    Attributes:
        image: frontal view (size, size) uint8; the left of the patient is on the right of the
            image.
        findings: findings that the image shows.
        report: report of these findings.
    """

    image: NDArray[np.uint8]
    findings: Findings
    report: PhantomReport


class CaseGenerators(NamedTuple):
    """Random generators of a case, one for each part, so that its parts are independent."""

    findings: np.random.Generator
    report: np.random.Generator
    image: np.random.Generator


def case_generators(seed: int, index: int) -> CaseGenerators:
    """Return the generators of case `index` of the set `seed`."""
    findings = np.random.default_rng(np.random.SeedSequence([seed, index]))
    return CaseGenerators(findings, *findings.spawn(2))


class PhantomDataset(Sequence[PhantomCase]):
    """Set of phantom cases.

    Case i depends only on (seed, i), so that any worker can make any case in any order.
    """

    def __init__(self, count: int, seed: int, size: int = 224, language: Language = "en") -> None:
        """Define the set, without rendering anything.

        Args:
            count: number of cases.
            seed: random seed of the cases.
            size: side of the images, in pixels.
            language: language of the reports.

        Raises:
            ValueError: `count` or `seed` is negative.
        """
        if count < 0 or seed < 0:
            message = f"count and seed must not be negative: count={count}, seed={seed}"
            raise ValueError(message)
        self._count, self._language = count, language
        self.seed, self.size = seed, size

    def __len__(self) -> int:
        """Return the number of cases."""
        return self._count

    @overload
    def __getitem__(self, index: int) -> PhantomCase: ...

    @overload
    def __getitem__(self, index: slice) -> list[PhantomCase]: ...

    def __getitem__(self, index: int | slice) -> PhantomCase | list[PhantomCase]:
        """Make one case, or a list of cases for a slice.

        Raises:
            IndexError: the index is out of range.
        """
        if isinstance(index, slice):
            return [self._make(place) for place in range(*index.indices(self._count))]
        place = index + self._count if index < 0 else index
        if not 0 <= place < self._count:
            message = f"case {index} is out of range: the set has {self._count} cases"
            raise IndexError(message)
        return self._make(place)

    def __iter__(self) -> Iterator[PhantomCase]:
        """Make the cases one by one."""
        return (self._make(place) for place in range(self._count))

    def truth(self, index: int) -> tuple[Findings, PhantomReport]:
        """Return the findings and the report of case `index` (0 or more), without its image."""
        rng = case_generators(self.seed, index)
        findings = sample_findings(rng.findings)
        return findings, write_report(findings, rng.report, self._language)

    def view(self, index: int, view: View) -> NDArray[np.uint8]:
        """Return a view (size, size) of the body of case `index` (0 or more)."""
        findings, _ = self.truth(index)
        return render(findings, case_generators(self.seed, index).image, self.size, view)

    def _make(self, place: int) -> PhantomCase:
        findings, report = self.truth(place)
        image = render(findings, case_generators(self.seed, place).image, self.size)
        return PhantomCase(image, findings, report)
