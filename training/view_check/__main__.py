"""`python -m training.view_check`: render, train, measure, and write the weights with their card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from echo_node.domain.studies.appearance import Appearance
from echo_node.errors import ConfigError, EchoNodeError
from echo_node.inference.view_check import KNOWN, SHIPPED, ViewCheck
from training.view_check.card import card, sheet
from training.view_check.measure import measure, table
from training.view_check.pictures import render_pictures
from training.view_check.train import SURE, Recipe, train

_PLAN = Recipe()
_HELD_OUT_SEED = 77
_HELD_OUT = (2000, 500, 660)
_MEASURED = {each: 4000 if each is Appearance.FRONTAL else 1000 for each in KNOWN}
"""How many held-out pictures there are of each pool, and how often they are jittered."""


def view_check(
    out: Annotated[Path, typer.Option("--out", help="The folder of weights and card.")] = SHIPPED.parent,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of pictures, jitter and weights.")] = _PLAN.seed,
    updates: Annotated[int, typer.Option("--updates", min=20, help="Of the weights.")] = _PLAN.updates,
    share: Annotated[
        float, typer.Option("--share", min=0.005, max=1.0, help="Of the pictures, for a quick try.")
    ] = 1.0,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", metavar="FILE.png", help="Draw held-out examples there.")
    ] = None,
) -> None:
    """Train the check of views on phantoms and measure it on others, in some minutes on one core."""
    if seed == _HELD_OUT_SEED:
        raise ConfigError(f"--seed {seed}: these phantoms are held out; choose another")
    plan = Recipe(seed=seed, updates=updates)

    def part(count: int) -> int:
        return max(44, round(share * count))

    def parts(frontal: int, lateral: int, others: int) -> tuple[int, int, int]:
        return part(frontal), part(lateral), part(others)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        counts = parts(plan.frontal, plan.lateral, plan.others)
        bar = progress.add_task("pictures", total=sum(counts))
        learnt = render_pictures(seed, counts, lambda: progress.advance(bar))
        bar = progress.add_task("updates", total=updates)
        network = train(plan, learnt, lambda _step, _loss: progress.advance(bar))
        held_out_counts = parts(*_HELD_OUT)
        bar = progress.add_task("held-out pictures", total=sum(held_out_counts))
        held_out = render_pictures(_HELD_OUT_SEED, held_out_counts, lambda: progress.advance(bar))
    out.mkdir(parents=True, exist_ok=True)
    path = out / SHIPPED.name
    network.save(path, SURE, {"seed": str(seed), "updates": str(updates)})
    each = {looks: part(count) for looks, count in _MEASURED.items()}
    measured = measure(ViewCheck.load(path), held_out, each, _HELD_OUT_SEED)
    (out / "README.md").write_text(card(plan, measured, _HELD_OUT_SEED), encoding="utf-8")
    if pictures is not None:
        sheet(held_out, _HELD_OUT_SEED).save(pictures)
    typer.echo(table(measured))


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        typer.run(view_check)
    except EchoNodeError as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


if __name__ == "__main__":
    main()
