"""`python -m faults`: run the scenarios, print the table of trials, end with 1 if a promise was broken."""

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

from echo_node import logs
from faults.scenarios import SCENARIOS, Scenario
from faults.world import Tally


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="faults", description=sys.modules["faults"].__doc__)
    parser.add_argument("--trials", type=int, default=0, help="of each scenario; 0: what each has")
    parser.add_argument("--factor", type=float, default=1.0, help="times the default trials")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument(
        "--only", action="append", help="a scenario's name; may be repeated", choices=list(SCENARIOS)
    )
    chosen = parser.parse_args()
    seed = chosen.seed or random.SystemRandom().randrange(1, 10**9)
    logs.configure("critical", "console")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(f"seed {seed}")
    table = Table(
        "scenario", "trials", "acknowledged", "delivered", "lost", "doubled", "seconds", "", box=None
    )
    broken = 0
    for name in chosen.only or SCENARIOS:
        scenario = SCENARIOS[name]
        trials = chosen.trials or max(1, round(scenario.trials * chosen.factor))
        tally, seconds, failure = run(scenario, seed, trials, console)
        broken += failure is not None
        what = failure or "; ".join(tally.notes)
        zero = "0" if failure is None else "?"
        figures = (
            tally.trials,
            tally.acknowledged or "",
            tally.delivered or "",
            zero,
            zero,
            f"{seconds:.0f}",
        )
        table.add_row(name, *map(str, figures), what)
    console.print(table)
    console.print("[bold red]a promise was broken[/bold red]" if broken else "every promise was kept")
    return 1 if broken else 0


def run(scenario: Scenario, seed: int, trials: int, console: Console) -> tuple[Tally, float, str | None]:
    """Run a scenario; return its tally, the seconds that it took, and what was broken."""
    folder = Path(tempfile.mkdtemp(prefix="echo-node-faults-"))
    started = time.monotonic()
    console.print(f"[dim]{scenario.name}: {scenario.what}[/dim]")
    try:
        tally = scenario.run(folder, random.Random(f"{seed} {scenario.name}"), trials)
    except Exception as error:  # noqa: BLE001 - the other scenarios still run
        console.print(traceback.format_exc(), markup=False)
        console.print(f"what it left is in {folder}")
        return Tally(trials), time.monotonic() - started, f"{type(error).__name__}: {error}"
    shutil.rmtree(folder, ignore_errors=True)
    return tally, time.monotonic() - started, None


if __name__ == "__main__":
    sys.exit(main())
