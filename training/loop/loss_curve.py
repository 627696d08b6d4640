"""Plot of a run by update: its losses, and its metrics between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from echo_node import plotting
from training.loop.record import read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE_NAME = "training.svg"
_LOSSES = ("loss", "validation_loss")
_OTHERS = ("step", "seconds", "tokens", "learning_rate", "gradient_norm")
_POINTS = 200


def draw(folder: Path, title: str, note: Callable[[str], None]) -> None:
    """Plot the metrics recorded in *folder* as `training.svg`; call *note* without matplotlib."""
    if not plotting.is_installed():
        note(f"no {FILE_NAME}: it needs matplotlib ({plotting.HOW_TO_INSTALL})")
        return
    rows = read_metrics(folder)
    names = list(dict.fromkeys(name for row in rows for name in row))
    shares = [name for name in names if name not in (*_LOSSES, *_OTHERS)]
    figure, (above, below) = plotting.new_figure(8, 6, rows=2)
    _lines(above, rows, [name for name in _LOSSES if name in names])
    _lines(below, rows, shares)
    above.set_title(title, fontsize=10)
    above.set_ylabel("loss")
    below.set_ylabel("share")
    below.set_ylim(0, 1.02)
    below.set_xlabel("update")
    plotting.save(figure, folder / FILE_NAME)


def _lines(axes: Axes, rows: Sequence[dict[str, float]], names: Sequence[str]) -> None:
    for name in names:
        points = [(row["step"], row[name]) for row in rows if name in row]
        if not points:
            continue
        steps, values = zip(*_thinned(points), strict=True)
        axes.plot(steps, values, label=name.replace("_", " "), linewidth=1)
    if names:
        axes.legend(frameon=False, fontsize=8)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most `_POINTS` points, each the mean of several consecutive ones."""
    width = -(-len(points) // _POINTS)
    parts = [points[at : at + width] for at in range(0, len(points), width)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]
