"""Plot of `echo-node bench decode`: tokens per second of each mode and batch size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from echo_node import plotting
from echo_node.errors import ConfigError


def check_target(path: Path) -> None:
    """Check that a plot can be drawn, before the measurement starts.

    Raises:
        ConfigError: the format is unknown, or the folder or matplotlib is missing.
    """
    if path.suffix not in plotting.SUFFIXES:
        raise ConfigError(f"--plot {path.name}: the name must end in one of {', '.join(plotting.SUFFIXES)}")
    if not path.parent.is_dir():
        raise ConfigError(f"--plot {path}: the folder {path.parent} does not exist")
    if not plotting.is_installed():
        raise ConfigError(f"--plot needs matplotlib: {plotting.HOW_TO_INSTALL}")


def plot_speeds(rows: Sequence[dict[str, object]], title: str, path: Path) -> None:
    """Draw bars of tokens per second, one group for each batch size, and write them to *path*."""
    modes = list(dict.fromkeys(str(row["mode"]) for row in rows))
    batches = list(dict.fromkeys(int(str(row["batch"])) for row in rows))
    speeds = {(row["mode"], row["batch"]): float(str(row["tokens_per_second"])) for row in rows}
    figure, (axes,) = plotting.new_figure(8, 1.2 + 0.3 * len(modes) * len(batches))
    height = 0.8 / len(modes)
    for place, mode in enumerate(modes):
        at = [group + place * height for group in range(len(batches))]
        bars = axes.barh(at, [speeds[mode, batch] for batch in batches], height=0.9 * height, label=mode)
        axes.bar_label(bars, fmt="%.0f", fontsize=7, padding=2)
    axes.set_yticks([group + 0.4 for group in range(len(batches))], [f"batch {b}" for b in batches])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("tokens per second, decoding only")
    axes.set_title(title, fontsize=10)
    plotting.legend_right_of(axes)
    plotting.save(figure, path)
