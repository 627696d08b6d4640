"""Plots of claims: coherence and F1 against tokens per forward pass, one curve per variant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from echo_node import plotting
from training.ablations.measure import Row
from training.ablations.plan import AblationPlan, Claim
from training.ablations.results import Measurement, Spread, spreads_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = {"coherent_sentences": "coherent sentences", "f1_micro": "micro F1 of findings"}
_SPEED = "tokens_per_forward"
_MARKERS = {"one_step": "*", "adaptive": "s", "next_token": "D"}


def draw(
    plan: AblationPlan, measured: Sequence[Measurement], folder: Path, note: Callable[[str], None]
) -> list[str]:
    """Write `<claim>.svg` for each claim with measurements. Return the names of these claims.

    A line joins the multi-step decoders by rising threshold; the other decoders are single markers.
    Error bars range from the lowest value among the seeds to the highest. If matplotlib is missing,
    the function draws nothing and calls *note*.
    """
    if not plotting.is_installed():
        note(f"no plots: they need matplotlib ({plotting.HOW_TO_INSTALL})")
        return []
    drawn = []
    for claim in plan.claims:
        claimed = [each for each in measured if each.variant in claim.variants]
        if claimed:
            _draw(plan, claim, claimed, folder / f"{claim.name}.svg")
            drawn.append(claim.name)
    return drawn


def _draw(plan: AblationPlan, claim: Claim, measured: Sequence[Measurement], path: Path) -> None:
    from matplotlib.lines import Line2D

    figure, panels = plotting.new_figure(10, 4.2, columns=len(_PANELS))
    spreads = spreads_of(measured)
    names = [f"multi_step_{threshold:g}" for threshold in sorted(plan.thresholds)]
    colours = {v: plotting.PALETTE[n % len(plotting.PALETTE)] for n, v in enumerate(claim.variants)}
    for axes, (name, label) in zip(panels, _PANELS.items(), strict=True):
        for variant, colour in colours.items():
            of_variant = {decoder: row for (owner, decoder), row in spreads.items() if owner == variant}
            curve = [of_variant[decoder] for decoder in names if decoder in of_variant]
            _points(axes, curve, name, colour, marker="o", size=4, line="solid")
            for decoder, marker in _MARKERS.items():
                single = [of_variant[decoder]] if decoder in of_variant else []
                _points(axes, single, name, colour, marker=marker, size=9, line="none")
        axes.set_xlabel("tokens per forward pass (faster to the right)")
        axes.set_ylabel(label)
    present = {each.variant for each in measured}
    lines = {v: Line2D([], [], color=colour) for v, colour in colours.items() if v in present}
    panels[0].legend(list(lines.values()), list(lines), frameon=False, fontsize=8)
    figure.suptitle(
        f"{claim.says}\nDots: multi-step; star: one step; square: adaptive; diamond: token by token",
        fontsize=9,
    )
    plotting.save(figure, path)


def _points(
    axes: Axes, rows: Sequence[Row], name: str, colour: str, *, marker: str, size: float, line: str
) -> None:
    known: list[tuple[Spread, Spread]] = [
        (row[_SPEED], row[name]) for row in rows if row[_SPEED] is not None and row[name] is not None
    ]
    if not known:
        return
    speeds, heights = zip(*known, strict=True)
    axes.errorbar(
        [speed.mean for speed in speeds],
        [height.mean for height in heights],
        xerr=_reach(speeds),
        yerr=_reach(heights),
        color=colour,
        marker=marker,
        markersize=size,
        linestyle=line,
        linewidth=1.2,
        elinewidth=0.8,
    )


def _reach(spreads: Sequence[Spread]) -> list[list[float]]:
    """Return the distances from the means to the lowest and highest values, never negative."""
    below = [max(0.0, spread.mean - spread.low) for spread in spreads]
    above = [max(0.0, spread.high - spread.mean) for spread in spreads]
    return [below, above]
