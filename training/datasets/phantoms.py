"""Reader of phantoms for `echo-node phantom dataset`, which renders on all cores.

The rendering processes import this module too. Modules that only the writing process needs are
therefore imported inside `write`.
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
"""Number of phantoms that a process renders before it returns them."""


@dataclass(frozen=True, slots=True)
class Phantoms:
    """Phantoms to write; each counts as one patient.

    Row i is case i of `PhantomDataset(count, seed, size, language)`.

    Attributes:
        count: number of phantoms.
        seed: random seed of the phantoms.
        size: side of the images, in pixels.
        language: language of the reports.
        validation: share of patients in the validation split.
        test: share of patients in the test split.
    """

    count: int
    seed: int
    size: int = 448
    language: Language = "en"
    validation: float = HELD_OUT_SHARE
    test: float = HELD_OUT_SHARE

    @property
    def cases(self) -> PhantomDataset:
        """Cases of these phantoms, made when they are requested."""
        return PhantomDataset(self.count, self.seed, self.size, self.language)

    def split(self, index: int) -> str:
        """Return the split of a case."""
        return drawn(PUBLIC.name("patient", self._patient(index)), self.validation, self.test)

    def missing(self, written: Mapping[str, str]) -> list[int]:
        """Return the indices of the cases that a folder lacks.

        Args:
            written: rows of the folder, as example_id -> split.

        Raises:
            ConfigError: the folder contains other rows than these.
        """
        ids = [example_id_of(SOURCE, self._key(index)) for index in range(self.count)]
        splits = {example_id: self.split(index) for index, example_id in enumerate(ids)}
        if not written.items() <= splits.items():
            raise ConfigError(
                "the folder contains other rows than these phantoms: choose another folder, or use the "
                "--seed, --size, --language and --splits that it was started with, and no smaller --count"
            )
        return [index for index, example_id in enumerate(ids) if example_id not in written]

    def read(self, indices: Sequence[int]) -> Iterator[Candidate]:
        """Yield the rows of cases, rendered on all cores; only a few are in memory at a time."""
        chunks = [indices[start : start + _CHUNK] for start in range(0, len(indices), _CHUNK)]
        if not chunks:
            return
        workers = min(cpu_count(), len(chunks))
        # Only the writing process handles an interrupt; it ends the others.
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
        """Return the number of cases of each class, and of normal cases, by split and in total."""
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
    """Write phantoms as a data set, or continue one without rendering its rows again.

    Args:
        phantoms: phantoms to write.
        out: folder of the data set, created if missing.
        advance: called with the number of finished rows.

    Raises:
        ConfigError: the folder contains other rows than these.
        PermanentError: the folder cannot be written to; the shards written so far are safe.
    """
    from training.datasets.build import BuildOptions, build
    from training.datasets.card import table
    from training.datasets.shards import Writer

    missing = phantoms.missing({row.example_id: row.split for row in Writer(out).existing()})
    if advance is not None:
        advance(phantoms.count - len(missing))
    made = f"Computer-made chests of seed {phantoms.seed}, {phantoms.size} pixels a side. No patients."
    shown = table(["shown, by the known truth", *SPLITS, "all"], phantoms.prevalence()).strip()
    options = BuildOptions(out.name, SOURCE, notes=(made, shown), distinct=True)
    return build(phantoms.read(missing), out, options, advance)
