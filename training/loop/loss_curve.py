"""A picture of a run: its loss and whatever shares it measured, update by update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from training.loop.record import read_metrics

FILE_NAME = "training.svg"
_LOSSES = ("loss", "validation_loss")
_OTHERS = ("step", "seconds", "tokens", "learning_rate", "gradient_norm")
_POINTS = 200


def draw(folder: Path, title: str, note: Callable[[str], None]) -> None:
    """Draw the metrics in *folder* into `training.svg`; without matplotlib, say so."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        note(f"no {FILE_NAME}: it needs matplotlib (pip install 'echo-node[plot]')")
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = read_metrics(folder)
    names = list(dict.fromkeys(name for row in rows for name in row))
    shares = [name for name in names if name not in (*_LOSSES, *_OTHERS)]
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6), sharex=True)
    _lines(above, rows, [name for name in _LOSSES if name in names])
    _lines(below, rows, shares)
    above.set_title(title, fontsize=10)
    above.set_ylabel("loss")
    below.set_ylabel("share")
    below.set_ylim(0, 1.02)
    below.set_xlabel("update")
    figure.savefig(folder / FILE_NAME, bbox_inches="tight")
    plt.close(figure)


def _lines(axes: Any, rows: Sequence[dict[str, float]], names: Sequence[str]) -> None:
    for name in names:
        points = [(row["step"], row[name]) for row in rows if name in row]
        if not points:
            continue
        axes.plot(*zip(*_thinned(points), strict=True), label=name.replace("_", " "), linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    if names:
        axes.legend(frameon=False, fontsize=8)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most so many points as can be told apart, each the mean of its neighbours."""
    width = -(-len(points) // _POINTS)
    parts = [points[at : at + width] for at in range(0, len(points), width)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]
