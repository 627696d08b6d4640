"""`python -m training.ablations`: the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from echo_node.errors import ConfigError, EchoNodeError
from training.ablations.harness import AblationRequest, Harness
from training.ablations.plan import PAPER, load_plan
from training.ablations.runs import Changes

_STAGES = ("vision", "ar", "rad", "dcd")


def ablations(
    out: Annotated[Path, typer.Option("--out", help="The folder of everything.")] = Path("runs/ablations"),
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="N,N,...", help="Every variant is trained with each.")
    ] = "0",
    count: Annotated[int, typer.Option("--count", min=1, help="Held-out phantoms to measure on.")] = 256,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="A claim or a variant; may be repeated."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of every recipe; may be repeated."),
    ] = None,
    steps: Annotated[
        list[str] | None,
        typer.Option("--steps", metavar="STAGE=N", help="The updates of a stage; may be repeated."),
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option("--take", metavar="VARIANT=DIR", help="A checkpoint in place of a variant's own."),
    ] = None,
    plan: Annotated[Path, typer.Option("--plan", metavar="FILE", help="Variants and claims.")] = PAPER,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the training runs.")] = False,
) -> None:
    """Check the paper's claims one by one on phantoms.

    Trains every variant of the plan with every seed and measures its drafts
    by every decoder. What is finished is kept: after an interruption the
    same command goes on. Results: results.md, results.jsonl and a figure
    for each claim, in --out.
    """
    console = Console(stderr=True, highlight=False)
    loaded = load_plan(plan)
    updates = _pairs("--steps", steps or [], _STAGES)
    taken = _pairs("--take", take or [], list(loaded.variants))
    changes = Changes(
        tuple(overrides or ()),
        {stage: _number("--steps", n) for stage, n in updates.items()},
        {name: Path(folder) for name, folder in taken.items()},
    )
    request = AblationRequest(
        tuple(_number("--seeds", n) for n in seeds.split(",")), count, tuple(only or ()), changes
    )
    harness = Harness(loaded, request, out, console)
    if dry_run:
        _list(harness)
        return
    failures = harness.carry_out()
    console.print(f"wrote {out / 'results.md'}")
    if failures:
        raise typer.Exit(1)


def _pairs(option: str, texts: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return what is given for each name."""
    pairs = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or name not in known:
            raise ConfigError(f"{option} {text}: NAME=VALUE is wanted, the name one of {', '.join(known)}")
        pairs[name] = value
    return pairs


def _number(option: str, text: str) -> int:
    if not text.strip().isdigit():
        raise ConfigError(f"{option}: '{text}' is not a number")
    return int(text)


def _list(harness: Harness) -> None:
    table = Table("variants", "seed", "recipe", "updates", "finished")
    for run in harness.training:
        finished = "yes" if run.is_finished else "no"
        table.add_row(
            ", ".join(harness.variants_of(run)), str(run.seed), run.recipe, str(run.steps), finished
        )
    Console().print(table)


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        typer.run(ablations)
    except EchoNodeError as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


if __name__ == "__main__":
    main()
