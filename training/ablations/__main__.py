"""Command line: `python -m training.ablations`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from echo_node.errors import ConfigError
from training.ablations.harness import AblationRequest, Harness
from training.ablations.plan import PAPER, load_plan
from training.ablations.runs import Changes
from training.command_line import run_command

_STAGES = ("vision", "ar", "rad", "dcd")


def ablations(
    out: Annotated[Path, typer.Option("--out", help="Folder of checkpoints and results.")] = Path(
        "runs/ablations"
    ),
    seeds: Annotated[
        str,
        typer.Option("--seeds", metavar="N,N,...", help="Random seeds; every variant is trained with each."),
    ] = "0",
    count: Annotated[int, typer.Option("--count", min=1, help="Number of held-out phantoms.")] = 256,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Claim or variant to run; may be repeated."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a value of every recipe; may be repeated."),
    ] = None,
    steps: Annotated[
        list[str] | None,
        typer.Option("--steps", metavar="STAGE=N", help="Number of updates of a stage; may be repeated."),
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(
            "--take", metavar="VARIANT=DIR", help="Checkpoint to use for a variant, instead of training it."
        ),
    ] = None,
    plan: Annotated[
        Path, typer.Option("--plan", metavar="FILE", help="Plan with variants and claims.")
    ] = PAPER,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the training runs without running them.")
    ] = False,
) -> None:
    """Check the paper's claims one by one on phantoms.

    Train every variant of the plan with every seed, and measure its drafts
    with every decoder. Finished work is kept: after an interruption, the
    same command continues. Results are written to --out: results.md,
    results.jsonl and a plot of each claim.
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
    """Return the values of NAME=VALUE options by name."""
    pairs = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or name not in known:
            raise ConfigError(f"{option} {text}: use NAME=VALUE, with one of the names {', '.join(known)}")
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


if __name__ == "__main__":
    run_command(ablations)
