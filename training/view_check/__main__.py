"""Command line: render images, train, measure, and write the weights with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from echo_node.domain.studies.appearance import Appearance
from echo_node.errors import ConfigError
from echo_node.inference.view_check import KNOWN, SHIPPED, ViewCheck
from training.command_line import run_command
from training.view_check.card import card, sheet
from training.view_check.images import render_pools
from training.view_check.measure import measure, table
from training.view_check.train import LIMITS, SURE, ViewCheckRecipe, train

_PLAN = ViewCheckRecipe()
_HELD_OUT_SEED = 77
_HELD_OUT = (2000, 500, 660)
"""Number of held-out images in each pool: frontal, lateral, others."""
_MEASURED = {each: 4000 if each is Appearance.FRONTAL else 1000 for each in KNOWN}
"""Number of jittered examples of each class to measure on."""


def view_check(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the weights and the model card.")
    ] = SHIPPED.parent,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Random seed of images, jitter and weights.")
    ] = _PLAN.seed,
    updates: Annotated[
        int, typer.Option("--updates", min=20, help="Number of training updates.")
    ] = _PLAN.updates,
    share: Annotated[
        float,
        typer.Option("--share", min=0.005, max=1.0, help="Share of the images to use, for a quick trial."),
    ] = 1.0,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", metavar="FILE.png", help="File for a sheet of held-out examples."),
    ] = None,
) -> None:
    """Train the view check on phantoms and measure it on others: a few minutes on one core."""
    if seed == _HELD_OUT_SEED:
        raise ConfigError(
            f"--seed {seed}: the phantoms of this seed are held out for measuring; choose another seed"
        )
    plan = ViewCheckRecipe(seed=seed, updates=updates)

    def part(count: int) -> int:
        return max(44, round(share * count))

    def parts(frontal: int, lateral: int, others: int) -> tuple[int, int, int]:
        return part(frontal), part(lateral), part(others)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        counts = parts(plan.frontal, plan.lateral, plan.others)
        bar = progress.add_task("images", total=sum(counts))
        pools = render_pools(seed, counts, lambda: progress.advance(bar))
        bar = progress.add_task("updates", total=updates)
        network = train(plan, pools, lambda _step, _loss: progress.advance(bar))
        held_out_counts = parts(*_HELD_OUT)
        bar = progress.add_task("held-out images", total=sum(held_out_counts))
        held_out = render_pools(_HELD_OUT_SEED, held_out_counts, lambda: progress.advance(bar))
    out.mkdir(parents=True, exist_ok=True)
    path = out / SHIPPED.name
    network.save(path, SURE, LIMITS, {"seed": str(seed), "updates": str(updates)})
    examples_of_class = {looks: part(count) for looks, count in _MEASURED.items()}
    measured = measure(ViewCheck.load(path), held_out, examples_of_class, _HELD_OUT_SEED)
    (out / "README.md").write_text(card(plan, measured, _HELD_OUT_SEED), encoding="utf-8")
    if pictures is not None:
        sheet(held_out, _HELD_OUT_SEED).save(pictures)
    typer.echo(table(measured))


if __name__ == "__main__":
    run_command(view_check)
