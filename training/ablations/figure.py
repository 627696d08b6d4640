"""A picture of each claim: coherence and F1 against tokens a forward, a curve for each variant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from training.ablations.measure import Row
from training.ablations.plan import AblationPlan, Claim
from training.ablations.results import Measurement, Spread, spreads_of

_PANELS = {"coherent_sentences": "coherent sentences", "f1_micro": "micro F1 of findings"}
_SPEED = "tokens_per_forward"
_MARKERS = {"one_step": "*", "adaptive": "s", "next_token": "D"}
_GREY = "#8a8a9a"


def draw(
    plan: AblationPlan, measured: Sequence[Measurement], folder: Path, note: Callable[[str], None]
) -> list[str]:
    """Draw `<claim>.svg` for each claim that has figures; return their names. Needs matplotlib.

    Multi-step decoders are joined by a line, by rising threshold; the others stand alone. Bars reach from the
    lowest seed to the highest.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        note("no figures: they need matplotlib (pip install 'echo-node[plot]')")
        return []
    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "echo-node", "axes.spines.top": False, "axes.spines.right": False})
    drawn = []
    for claim in plan.claims:
        of_claim = [each for each in measured if each.variant in claim.variants]
        if of_claim:
            _draw(plan, claim, of_claim, folder / f"{claim.name}.svg")
            drawn.append(claim.name)
    return drawn


def _draw(plan: AblationPlan, claim: Claim, measured: Sequence[Measurement], path: Path) -> None:
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    figure, panels = plt.subplots(1, len(_PANELS), figsize=(10, 4.2), sharex=True)
    spreads = spreads_of(measured)
    names = [f"multi_step_{threshold:g}" for threshold in sorted(plan.thresholds)]
    for axes, (name, label) in zip(panels, _PANELS.items(), strict=True):
        for place, variant in enumerate(claim.variants):
            of_variant = {decoder: row for (owner, decoder), row in spreads.items() if owner == variant}
            curve = [of_variant[decoder] for decoder in names if decoder in of_variant]
            _points(axes, curve, name, color=f"C{place}", marker="o", markersize=4, linewidth=1.2)
            for decoder, marker in _MARKERS.items():
                alone = [of_variant[decoder]] if decoder in of_variant else []
                _points(axes, alone, name, color=f"C{place}", marker=marker, markersize=9, linestyle="none")
        axes.set_xlabel("tokens a forward (faster to the right)")
        axes.set_ylabel(label)
        axes.grid(color=_GREY, alpha=0.25)
    there = {each.variant for each in measured}
    lines = {v: Line2D([], [], color=f"C{place}") for place, v in enumerate(claim.variants) if v in there}
    panels[0].legend(list(lines.values()), list(lines), frameon=False, fontsize=8)
    figure.suptitle(
        f"{claim.says}\nDots: multi-step; star: one step; square: adaptive; diamond: token by token",
        fontsize=9,
    )
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _points(axes: Any, rows: Sequence[Row], name: str, **look: Any) -> None:
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
        elinewidth=0.8,
        **look,
    )


def _reach(spreads: Sequence[Spread]) -> list[list[float]]:
    """Return how far the lowest and the highest lie from the mean; rounding must not make that negative."""
    below = [max(0.0, spread.mean - spread.low) for spread in spreads]
    above = [max(0.0, spread.high - spread.mean) for spread in spreads]
    return [below, above]
