"""Phantoms as a data set on disk: the reader behind `echo-node phantom dataset`, rendering on all cores.

The rendering processes import this module too: what the writing one alone needs is imported where it is used.
"""

from __future__ import annotations

import io
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import cpu_count, get_context
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from echo_node.errors import ConfigError
from training.datasets.deidentification.pseudonyms import PUBLIC
from training.datasets.example import SPLITS, Candidate, example_id_of
from training.datasets.splits import HELD_OUT_SHARE, drawn
from training.examples.examples import one_thread_each, world_digest
from training.phantom.dataset import PhantomDataset
from training.phantom.findings import CLASSES, labels
from training.phantom.language.phrasebook import Language

if TYPE_CHECKING:
    from training.datasets.shards import Facts

SOURCE = "phantom"

_CHUNK = 8
"""How many phantoms a process renders before it hands them over."""


@dataclass(frozen=True, slots=True)
class Phantoms:
    """Phantoms to write: row i is case i of `PhantomDataset(count, seed, size, language)`, a patient each.

    Attributes:
        count: how many.
        seed: which.
        size: pixels a side.
        language: of the reports.
        validation: the share of patients that goes there; the test's likewise.
        test: see above.
    """

    count: int
    seed: int
    size: int = 448
    language: Language = "en"
    validation: float = HELD_OUT_SHARE
    test: float = HELD_OUT_SHARE

    @property
    def cases(self) -> PhantomDataset:
        """The cases, made when they are asked for."""
        return PhantomDataset(self.count, self.seed, self.size, self.language)

    def split(self, index: int) -> str:
        """Return the split of a case."""
        return drawn(PUBLIC.name("patient", self._patient(index)), self.validation, self.test)

    def missing(self, written: Mapping[str, str]) -> list[int]:
        """Return the cases that a folder lacks.

        Args:
            written: the example_id of each of its rows -> its split.

        Raises:
            ConfigError: it holds other rows than these.
        """
        ids = [example_id_of(SOURCE, self._key(index)) for index in range(self.count)]
        splits = {each: self.split(index) for index, each in enumerate(ids)}
        if not written.items() <= splits.items():
            raise ConfigError(
                "the folder holds other rows than these phantoms: choose another one, or give the --seed, "
                "--size, --language and --splits that it was begun with, and no smaller --count"
            )
        return [index for index, each in enumerate(ids) if each not in written]

    def read(self, indices: Sequence[int]) -> Iterator[Candidate]:
        """Yield the rows of cases, rendered on all cores; few are in memory at a time."""
        chunks = [indices[start : start + _CHUNK] for start in range(0, len(indices), _CHUNK)]
        if not chunks:
            return
        workers = min(cpu_count(), len(chunks))
        # An interrupt is for the writing process, which ends the others.
        pool = ProcessPoolExecutor(
            workers, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
        )
        rendering: deque[Future[list[Candidate]]] = deque()
        with one_thread_each(), pool:
            for chunk in chunks:
                rendering.append(pool.submit(self._rows, chunk))
                if len(rendering) > 2 * workers:
                    yield from rendering.popleft().result()
            while rendering:
                yield from rendering.popleft().result()

    def prevalence(self) -> list[list[object]]:
        """Return for each class, and for normal chests, how many cases of each split show it, and of all."""
        shown: Counter[tuple[str, str]] = Counter()
        for index in range(self.count):
            kinds = [str(kind) for kind, is_shown in labels(self.cases.truth(index)[0]).items() if is_shown]
            shown.update((kind, self.split(index)) for kind in kinds or ["normal"])
        rows = [(kind, [shown[kind, split] for split in SPLITS]) for kind in (*CLASSES, "normal")]
        return [[kind.replace("_", " "), *counts, sum(counts)] for kind, counts in rows]

    def _patient(self, index: int) -> str:
        return f"phantom {self.seed} {index}"

    def _key(self, index: int) -> str:
        return (
            f"case {index} of seed {self.seed}, {self.size} pixels, {self.language}, world {world_digest()}"
        )

    def _rows(self, indices: Sequence[int]) -> list[Candidate]:
        return [self._row(index) for index in indices]

    def _row(self, index: int) -> Candidate:
        case, patient, png = self.cases[index], self._patient(index), io.BytesIO()
        Image.fromarray(case.image).save(png, "PNG")
        return Candidate(
            self._key(index),
            Path(),
            patient,
            patient,
            case.report.findings_text,
            case.report.impression_text,
            case.findings.patient.view,
            self.split(index),
            png=png.getvalue(),
        )


def write(phantoms: Phantoms, out: Path, advance: Callable[[int], None] | None = None) -> Facts:
    """Write phantoms as a data set, or go on with one: what it holds is not rendered again.

    Args:
        phantoms: which.
        out: the folder; made if need be.
        advance: is told of each row.

    Raises:
        ConfigError: the folder holds other rows than these.
        PermanentError: it cannot be written to; the shards written so far are safe.
    """
    from training.datasets.build import BuildOptions, build
    from training.datasets.card import table
    from training.datasets.shards import Writer

    missing = phantoms.missing({row.example_id: row.split for row in Writer(out).existing()})
    if advance is not None:
        advance(phantoms.count - len(missing))
    made = f"Computer-made chests of seed {phantoms.seed}, {phantoms.size} pixels a side, and no patients."
    shown = table(["shown, by the known truth", *SPLITS, "all"], phantoms.prevalence()).strip()
    options = BuildOptions(out.name, SOURCE, notes=(made, shown), distinct=True)
    return build(phantoms.read(missing), out, options, advance)
