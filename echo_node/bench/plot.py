"""A picture of `echo-node bench decode`: tokens a second of every mode, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from echo_node.errors import ConfigError

_SUFFIXES = (".png", ".svg", ".pdf")


def check_target(path: Path) -> None:
    """See that a plot can be drawn, before the measuring begins.

    Raises:
        ConfigError: the format is unknown, the folder is missing, or matplotlib is.
    """
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"--plot {path.name}: the name must end in one of {', '.join(_SUFFIXES)}")
    if not path.parent.is_dir():
        raise ConfigError(f"--plot {path}: there is no folder {path.parent}")
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise ConfigError("--plot needs matplotlib: pip install 'echo-node[plot]'") from None
    mpl.use("Agg")


def plot_speeds(rows: Sequence[dict[str, object]], title: str, path: Path) -> None:
    """Draw bars of tokens a second, a group for each batch size, and write them to *path*."""
    from matplotlib import pyplot as plt

    modes = list(dict.fromkeys(str(row["mode"]) for row in rows))
    batches = list(dict.fromkeys(int(str(row["batch"])) for row in rows))
    speeds = {(row["mode"], row["batch"]): float(str(row["tokens_per_second"])) for row in rows}
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.3 * len(modes) * len(batches)))
    height = 0.8 / len(modes)
    for place, mode in enumerate(modes):
        at = [group + place * height for group in range(len(batches))]
        bars = axes.barh(at, [speeds[mode, batch] for batch in batches], height=0.9 * height, label=mode)
        axes.bar_label(bars, fmt="%.0f", fontsize=7, padding=2)
    axes.set_yticks([group + 0.4 for group in range(len(batches))], [f"batch {b}" for b in batches])
    axes.invert_yaxis()
    axes.set_xlabel("tokens a second, decoding only")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, bbox_to_anchor=(1.0, 1.0), loc="upper left")
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)
