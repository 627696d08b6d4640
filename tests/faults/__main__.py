"""`python -m faults`: run the scenarios, print the table of trials, exit with 1 if one failed.

A run of all scenarios keeps the finished ones in a file until all are done. If it is interrupted,
the next run resumes it.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from echo_node import logs
from faults.scenarios import SCENARIOS, Scenario
from faults.world import Tally

STATE = Path(__file__).parents[2] / "runs" / "faults.json"


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one scenario.

    Attributes:
        tally: counts of its trials.
        seconds: how long it took.
        failure: the broken promise; None if all were kept.
    """

    tally: Tally
    seconds: float
    failure: str | None = None


class Progress:
    """Finished scenarios of a run, in a file.

    Args:
        file: where they are kept; None keeps them in memory alone.
        options: trials and factor of the run; results of a run with other options are dropped.
        seed: seed of a new run; a resumed one keeps its own.
    """

    def __init__(self, file: Path | None, options: Sequence[float], seed: int) -> None:
        self._file = file
        self._options = list(options)
        self.seed = seed
        self.finished: dict[str, Result] = {}
        if file is None or not file.exists():
            return
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["options"] == self._options:
            self.seed = kept["seed"]
            self.finished = {
                name: Result(Tally(**row["tally"]), row["seconds"]) for name, row in kept["finished"].items()
            }

    def add(self, name: str, result: Result) -> None:
        """Keep the result of a scenario that passed; a failed one runs again next time."""
        if result.failure is not None:
            return
        self.finished[name] = result
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        rows = {each: asdict(one) for each, one in self.finished.items()}
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps({"options": self._options, "seed": self.seed, "finished": rows}))
        part.replace(self._file)

    def forget(self) -> None:
        """Start the next run from the beginning."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None, state: Path = STATE) -> int:
    """Run the requested scenarios; return the exit code."""
    parser = argparse.ArgumentParser(prog="faults", description=sys.modules["faults"].__doc__)
    parser.add_argument("--trials", type=int, default=0, help="number for each scenario; 0: its default")
    parser.add_argument("--factor", type=float, default=1.0, help="multiple of the default trials")
    parser.add_argument("--seed", type=int, default=0, help="0: another one for each run")
    parser.add_argument(
        "--only", action="append", help="name of a scenario; may be repeated", choices=list(SCENARIOS)
    )
    parser.add_argument("--restart", action="store_true", help="run finished scenarios again")
    chosen = parser.parse_args(arguments)
    names = chosen.only or list(SCENARIOS)
    options = (chosen.trials, chosen.factor, chosen.seed)
    file = None if chosen.only else state
    if chosen.restart and file is not None:
        file.unlink(missing_ok=True)
    progress = Progress(file, options, chosen.seed or random.SystemRandom().randrange(1, 10**9))
    logs.configure("critical", "console")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(f"seed {progress.seed}")
    if done := [name for name in names if name in progress.finished]:
        console.print(
            f"resumed: {len(done)} of {len(names)} scenarios are finished; --restart runs them again"
        )
    results: dict[str, Result] = {}
    for name in names:
        scenario = SCENARIOS[name]
        if name not in progress.finished:
            trials = chosen.trials or max(1, round(scenario.trials * chosen.factor))
            results[name] = run(scenario, progress.seed, trials, console)
            progress.add(name, results[name])
            console.print(f"[dim]{name}: {results[name].seconds:.0f} s[/dim]")
        else:
            results[name] = progress.finished[name]
    console.print(_table(results))
    console.print(f"{sum(result.seconds for result in results.values()) / 60:.1f} minutes in all")
    if any(result.failure is not None for result in results.values()):
        console.print("[bold red]a promise was broken[/bold red]")
        return 1
    console.print("every promise was kept")
    progress.forget()
    return 0


def run(scenario: Scenario, seed: int, trials: int, console: Console) -> Result:
    """Run a scenario; return its result."""
    folder = Path(tempfile.mkdtemp(prefix="echo-node-faults-"))
    started = time.monotonic()
    console.print(f"[dim]{scenario.name}: {scenario.what}[/dim]")
    try:
        tally = scenario.run(folder, random.Random(f"{seed} {scenario.name}"), trials)
    except Exception as error:  # noqa: BLE001 - the other scenarios run all the same; the table shows it
        console.print(traceback.format_exc(), markup=False)
        console.print(f"its files are left in {folder}")
        return Result(Tally(trials), time.monotonic() - started, f"{type(error).__name__}: {error}")
    shutil.rmtree(folder, ignore_errors=True)
    return Result(tally, time.monotonic() - started)


def _table(results: dict[str, Result]) -> Table:
    table = Table(
        "scenario", "trials", "acknowledged", "delivered", "lost", "doubled", "seconds", "", box=None
    )
    for name, result in results.items():
        tally, zero = result.tally, "0" if result.failure is None else "?"
        figures = (tally.trials, tally.acknowledged or "", tally.delivered or "", zero, zero)
        notes = result.failure or "; ".join(tally.notes)
        table.add_row(name, *map(str, figures), f"{result.seconds:.0f}", notes)
    return table


if __name__ == "__main__":
    sys.exit(main())
