"""Command line: render images, train, calibrate, measure; write weights, card, page, pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from echo_node.domain.studies.appearance import Appearance, Zone
from echo_node.errors import ConfigError
from echo_node.inference.view_check import KNOWN, SHIPPED, ViewCheck
from training.command_line import run_command
from training.view_check import films
from training.view_check.card import card, sheet
from training.view_check.ct import CtChest
from training.view_check.images import PoolSizes, render_pools
from training.view_check.measure import (
    Measured,
    frontal_probabilities,
    hard_phantoms,
    jittered_probabilities,
    operating_limits,
    turned_probabilities,
)
from training.view_check.page import draw_curve, rewritten
from training.view_check.train import SURE, ViewCheckRecipe, train

_PLAN = ViewCheckRecipe()
_HELD_OUT_SEED, _CALIBRATION_SEED = 77, 78
_HELD_OUT = PoolSizes(frontal=1200, lateral=400, oblique=400, decubitus=400, others=660)
_HARD = (2000, 1000)
"""Number of hard phantoms to measure on: frontal, and other views."""

_CALIBRATION = (1500, 900)
_MEASURED = {each: 2400 if each is Appearance.FRONTAL else 800 for each in KNOWN}
"""Number of jittered examples of each class to measure on."""

_UNTIL_TRAINED = dict.fromkeys(Zone, 0.5)


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
    curve: Annotated[
        Path | None,
        typer.Option("--curve", metavar="FILE.svg", help="File for the plot of the operating points."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE.md", help="Page whose generated tables are written again."),
    ] = None,
    ct: Annotated[
        Path | None,
        typer.Option("--ct", metavar="FILE.nii.gz", help="Chest CT to measure projections of."),
    ] = None,
) -> None:
    """Train the view check on phantoms and measure it on others: some 15 minutes on one core."""
    if seed in (_HELD_OUT_SEED, _CALIBRATION_SEED):
        raise ConfigError(
            f"--seed {seed}: the phantoms of this seed are held out for measuring; choose another seed"
        )
    plan = ViewCheckRecipe(seed=seed, updates=updates)
    volume = CtChest(ct) if ct else None

    def part(count: int) -> int:
        return max(44, round(share * count))

    def parts(sizes: PoolSizes) -> PoolSizes:
        return PoolSizes(*(part(each) for each in sizes))

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def bar(name: str, total: int) -> Callable[[], None]:
            task = progress.add_task(name, total=total)
            return lambda: progress.advance(task)

        counts = parts(plan.counts)
        pools = render_pools(seed, counts, bar("images", sum(counts)))
        step = bar("updates", updates)
        network = train(plan, pools, lambda _step, _loss: step())
        few = (part(_CALIBRATION[0]), part(_CALIBRATION[1]))
        calibration = hard_phantoms(_CALIBRATION_SEED, *few, bar("images to calibrate on", sum(few)))
        many = (part(_HARD[0]), part(_HARD[1]))
        hard, refused = hard_phantoms(_HELD_OUT_SEED, *many, bar("hard images", sum(many)))
        held_out_counts = parts(_HELD_OUT)
        held_out = render_pools(_HELD_OUT_SEED, held_out_counts, bar("other images", sum(held_out_counts)))
    out.mkdir(parents=True, exist_ok=True)
    path = out / SHIPPED.name
    facts = {"seed": str(seed), "updates": str(updates)}
    network.save(path, SURE, _UNTIL_TRAINED, facts)
    limits = operating_limits(ViewCheck.load(path), *calibration)
    network.save(path, SURE, limits, facts)
    check = ViewCheck.load(path)
    examples_of_class = {looks: part(count) for looks, count in _MEASURED.items()}
    measured = Measured(
        hard={kind: frontal_probabilities(check, images) for kind, images in hard.items()},
        refused={view: frontal_probabilities(check, images) for view, images in refused.items()},
        jittered=jittered_probabilities(check, held_out, examples_of_class, _HELD_OUT_SEED),
        turned=turned_probabilities(check, volume, _HELD_OUT_SEED) if volume else {},
        limits=limits,
    )
    written = card(plan, measured, path.stat().st_size)
    (out / "README.md").write_text(written, encoding="utf-8")
    if pictures is not None:
        sheet(held_out, _HELD_OUT_SEED).save(pictures)
    if curve is not None:
        draw_curve(measured, curve)
    if page is not None:
        text = rewritten(
            page.read_text(encoding="utf-8"), measured, films.films(check), films.other_images(check)
        )
        page.write_text(text, encoding="utf-8")
    typer.echo(
        f"limits: read {limits[Zone.READ]}, marked {limits[Zone.MARKED]}. Of hard frontal phantoms "
        f"{measured.lost():.2%} are lost and {measured.marked():.2%} marked; of laterals, obliques and "
        f"decubitus {measured.refusals():.2%} are refused."
    )


if __name__ == "__main__":
    run_command(view_check)
