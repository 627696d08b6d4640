"""`python -m spoil`: try malformed headers, print the counts, exit with 1 on a failure.

Finished parts are kept in a file until all are done. If a run is interrupted, the next resumes it.
"""

import argparse
import json
import random
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from echo_node import logs
from spoil import by_command, on_the_wire
from spoil.in_process import InProcess
from spoil.outcomes import DRAFTED, EXCEPTION, HELD, REFUSED, SKIPPED, Outcomes

STATE = Path(__file__).parents[2] / "runs" / "spoil.json"
LEAST_DRAFTED = 0.95
"""Least share of drafts among the headers with one malformed attribute that no draft needs."""
_PART = 1000
_SHOWN = 12


def main(arguments: Sequence[str] | None = None, state: Path = STATE) -> int:
    """Try the requested numbers of headers; return the exit code."""
    parser = argparse.ArgumentParser(prog="spoil", description=sys.modules["spoil"].__doc__)
    parser.add_argument("--in-process", type=int, default=20_000, help="headers in one process")
    parser.add_argument("--by-command", type=int, default=300, help="headers by echo-node report")
    parser.add_argument("--on-the-wire", type=int, default=300, help="headers sent to a node")
    parser.add_argument("--seed", type=int, default=0, help="0: another one for each run")
    parser.add_argument("--restart", action="store_true", help="run finished parts again")
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    logs.configure("critical", "console")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    options = [chosen.in_process, chosen.by_command, chosen.on_the_wire, chosen.seed]
    if chosen.restart:
        state.unlink(missing_ok=True)
    kept = json.loads(state.read_text()) if state.exists() else {}
    if kept.get("options") != options:
        seed = chosen.seed or random.SystemRandom().randrange(1, 10**9)
        kept = {"options": options, "seed": seed, "finished": {}}
    console.print(f"seed {kept['seed']}")
    ways = {
        "in one process": _in_process(chosen.in_process),
        "by the command": [("by the command", chosen.by_command)] if chosen.by_command else [],
        "on the wire": [("on the wire", chosen.on_the_wire)] if chosen.on_the_wire else [],
    }
    results: dict[str, Outcomes] = {}
    with tempfile.TemporaryDirectory(prefix="echo-node-spoil-") as folder:
        in_process = InProcess(Path(folder))
        for way, parts in ways.items():
            results[way] = Outcomes()
            for name, count in parts:
                if name not in kept["finished"]:
                    outcomes = _part(way, name, count, kept["seed"], Path(folder), in_process)
                    kept["finished"][name] = outcomes.as_json()
                    state.parent.mkdir(parents=True, exist_ok=True)
                    state.write_text(json.dumps(kept))
                results[way].join(Outcomes.of_json(kept["finished"][name]))
            if parts:
                _show(console, way, results[way])
    console.print(_table(results))
    state.unlink(missing_ok=True)
    return int(any(each.faults or each.share_drafted < LEAST_DRAFTED for each in results.values()))


def _in_process(count: int) -> list[tuple[str, int]]:
    return [(f"in one process from {start}", min(_PART, count - start)) for start in range(0, count, _PART)]


def _part(way: str, name: str, count: int, seed: int, folder: Path, in_process: InProcess) -> Outcomes:
    randomness = random.Random(f"{seed} {name}")
    if way == "in one process":
        return in_process.run(int(name.rsplit(" ", 1)[1]), count, randomness)
    place = folder / way.replace(" ", "-")
    place.mkdir()
    run = by_command.run if way == "by the command" else on_the_wire.run
    return run(place, 0, count, randomness)


def _show(console: Console, way: str, outcomes: Outcomes) -> None:
    for fault in outcomes.faults:
        console.print(f"{way}: {fault}", style="bold red", markup=False)
    for reason, count in outcomes.reasons.most_common(_SHOWN):
        console.print(f"{way}: {count} × {reason}", markup=False)


def _table(results: dict[str, Outcomes]) -> Table:
    table = Table(
        "", "headers", DRAFTED, HELD, SKIPPED, REFUSED, "exceptions", "documents checked", "faults",
        "drafted, of one needless attribute", box=None,
    )  # fmt: skip
    for way, found in results.items():
        counts = [found.all[each] for each in (DRAFTED, HELD, SKIPPED, REFUSED, EXCEPTION)]
        share = f"{found.needless[DRAFTED]} of {found.needless.total()} ({100 * found.share_drafted:.1f} %)"
        table.add_row(
            way, str(found.all.total()), *map(str, counts), str(found.checked), str(len(found.faults)), share
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
