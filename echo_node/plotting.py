"""Plots with matplotlib: one style, and files whose bytes depend only on the data.

matplotlib is optional (`pip install 'echo-node[plot]'`), and slow to import: functions here import
it when they are called. Every plot of the benchmarks, of training and of the documentation is made
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
"""Endings of the files that `save` can write."""

HOW_TO_INSTALL = "pip install 'echo-node[plot]'"

INK, GREY = "#1f2430", "#8a8a9a"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f", "#332288")
"""Okabe and Ito's colours, which people with any colour vision can tell apart."""

_SALT = "echo-node"  # makes the ids in SVG files reproducible: they are random by default
_NO_DATE: Mapping[str, Mapping[str, None]] = MappingProxyType(
    {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
)
_NO_METADATA: Mapping[str, None] = MappingProxyType(
    dict.fromkeys(("Date", "Creator", "Format", "Type"), None)
)


def is_installed() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def new_figure(
    width: float, height: float, *, rows: int = 1, columns: int = 1
) -> tuple[Figure, tuple[Axes, ...]]:
    """Return a figure and its panels, which share the horizontal axis.

    Args:
        width: width of the figure, in inches.
        height: height of the figure, in inches.
        rows: number of panels below each other.
        columns: number of panels side by side.
    """
    from cycler import cycler
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="tight")
    panels = tuple(figure.subplots(rows, columns, sharex=True, squeeze=False).flat)
    for axes in panels:
        axes.set_prop_cycle(cycler(color=PALETTE))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=GREY, alpha=0.25)
        axes.set_axisbelow(True)
    return figure, panels


def legend_right_of(axes: Axes) -> None:
    """Place the legend to the right of a panel."""
    axes.legend(frameon=False, fontsize=8, bbox_to_anchor=(1.0, 1.0), loc="upper left")


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's suffix; the same figure gives the same bytes."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": _SALT}):
        figure.savefig(path, bbox_inches="tight", metadata=dict(_NO_DATE.get(path.suffix, {})))


def as_svg(figure: Figure, title: str) -> str:
    """Return a figure as an SVG element for an HTML page; the same figure gives the same text.

    Args:
        figure: the figure.
        title: description for readers who cannot see it.
    """
    from matplotlib import rc_context

    buffer = StringIO()
    with rc_context({"svg.hashsalt": _SALT, "svg.fonttype": "none"}):
        metadata = {**_NO_METADATA, "Title": title}
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata=metadata)
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace("<svg ", '<svg role="img" ', 1).strip()
