"""Training and measurement of every variant with every seed; a failure does not stop the rest."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from training.ablations import plots
from training.ablations.measure import CasesFor, Measurements, phantoms
from training.ablations.plan import AblationPlan
from training.ablations.results import Failure, Measurement, markdown
from training.ablations.runs import Changes, Runs, TrainingRun, in_order
from training.file_cache import write_atomically


@dataclass(frozen=True, slots=True)
class AblationRequest:
    """Request of the command line.

    Attributes:
        seeds: random seeds; every variant is trained with each.
        count: number of held-out phantoms to measure on.
        only: claims or variants to run; empty for all.
        changes: changes to every recipe.
    """

    seeds: tuple[int, ...]
    count: int
    only: tuple[str, ...] = ()
    changes: Changes = field(default_factory=Changes)


class Harness:
    """Execution of one plan in one folder. If started again, it continues where it stopped.

    It writes `results.jsonl`, `results.md`, a plot of each claim, `failures.log`, and the folders
    `runs` and `measured`.
    """

    def __init__(
        self,
        plan: AblationPlan,
        request: AblationRequest,
        out: Path,
        console: Console,
        cases_for: CasesFor | None = None,
    ) -> None:
        """Prepare all runs, so that errors in recipes are found before any training.

        Args:
            plan: variants and claims.
            request: variants and seeds to run, and changes to their recipes.
            out: folder of checkpoints and results.
            console: console for progress.
            cases_for: function that returns the cases to measure on; None uses held-out phantoms.

        Raises:
            ConfigError: a recipe with its changes is invalid, or the plan has no such claim or
                variant.
        """
        self._plan, self._request, self._out, self._console = plan, request, out, console
        runs = Runs(plan, request.changes, out)
        pairs = [(name, seed) for seed in request.seeds for name in plan.variants]
        self._all = {pair: runs.of(*pair) for pair in pairs}
        wanted = plan.wanted(request.only)
        self._wanted = [(name, seed) for seed in request.seeds for name in wanted]
        self._failed: dict[str, str] = {}
        cases = cases_for or phantoms(request.count)
        self._measurements = Measurements(plan, request.count, cases, out / "measured")

    @property
    def training(self) -> list[TrainingRun]:
        """All runs that the request needs, in training order, including finished runs."""
        return in_order([self._all[pair] for pair in self._wanted])

    def variants_of(self, run: TrainingRun) -> list[str]:
        """Return the variants whose last stage is this run."""
        return list(dict.fromkeys(name for (name, _), end in self._all.items() if end.key == run.key))

    def carry_out(self) -> list[Failure]:
        """Train and measure everything that is missing. Return the failures."""
        failures: list[Failure] = []
        todo = [run for run in self.training if not run.is_finished]
        places = {run.key: f"[{place}/{len(todo)}]" for place, run in enumerate(todo, 1)}
        for name, seed in self._wanted:
            try:
                self._train(self._all[name, seed], places)
                self._measure(name, self._all[name, seed])
            except Exception as error:  # noqa: BLE001 - the harness continues with the other runs
                failures.append(self._note_failure(name, seed, error))
            self._write(failures)
        return failures

    def _train(self, end: TrainingRun, places: dict[str, str]) -> None:
        for run in end.chain:
            if run.key in self._failed:
                raise RuntimeError(f"{run.name} failed earlier: {self._failed[run.key]}")
            if run.is_finished:
                continue
            names = ", ".join(self.variants_of(run))
            self._console.print(
                f"{places[run.key]} {names}, seed {run.seed}: {run.stage}, {run.steps} updates", markup=False
            )
            try:
                run.train()
            except Exception as error:
                self._failed[run.key] = _reason(error)
                raise

    def _measure(self, name: str, run: TrainingRun) -> None:
        with self._console.status(f"measuring {name}, seed {run.seed}") as status:
            self._measurements.complete(
                run, lambda what: status.update(f"measuring {name}, seed {run.seed}: {what}")
            )

    def _note_failure(self, name: str, seed: int, error: Exception) -> Failure:
        failure = Failure(name, seed, _reason(error))
        self._console.print(f"failed: {failure}", markup=False)
        self._out.mkdir(parents=True, exist_ok=True)
        with (self._out / "failures.log").open("a", encoding="utf-8") as log:
            log.write(f"{failure}\n{''.join(traceback.format_exception(error))}\n")
        return failure

    def _write(self, failures: Sequence[Failure]) -> None:
        """Write the results of all measurements, including those of earlier runs."""
        own = {(name, run.seed): run for (name, _), run in self._all.items()}  # one run may serve all seeds
        measured = [
            Measurement(name, seed, decoder, str(run.folder), metrics)
            for (name, seed), run in own.items()
            for decoder, metrics in self._measurements.of(run).items()
        ]
        write_atomically(self._out / "results.jsonl", "".join(each.line for each in measured))
        drawn = plots.draw(self._plan, measured, self._out, self._console.print)
        page = markdown(self._plan, measured, failures, self._request.count, drawn)
        write_atomically(self._out / "results.md", page)


def _reason(error: Exception) -> str:
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}"
