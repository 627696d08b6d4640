"""A plot as SVG text: axes, and marks placed by the values that they stand for.

Everything is in attributes of the elements, so that a plot is the same inside a page and as a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

INK, GREY, LINE = "#1f2430", "#6b7280", "#e3e6ec"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f", "#332288")
"""Okabe and Ito's colours, which people of every colour vision tell apart."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


class Chart:
    """A plotting area between two linear axes; the origin of values is at its lower left."""

    def __init__(
        self,
        size: tuple[int, int],
        margin: tuple[int, int, int, int],
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        title: str,
    ) -> None:
        """Begin a plot.

        Args:
            size: width and height in pixels.
            margin: above, right, below and left of the plotting area.
            x_range: the values at its left and its right edge.
            y_range: the values at its lower and its upper edge.
            title: for those who do not see the plot.
        """
        self._size, self._title = size, title
        above, right, below, left = margin
        self._left, self._right, self._top, self._bottom = left, size[0] - right, above, size[1] - below
        self._x_range, self._y_range = x_range, y_range
        self._parts: list[str] = []

    def x(self, value: float) -> float:
        """Return the pixel column of a value."""
        low, high = self._x_range
        return self._left + (value - low) / (high - low) * (self._right - self._left)

    def y(self, value: float) -> float:
        """Return the pixel row of a value."""
        low, high = self._y_range
        return self._bottom - (value - low) / (high - low) * (self._bottom - self._top)

    def x_axis(self, ticks: Sequence[float], label: str, form: str = "{:g}") -> None:
        """Draw the horizontal axis with a line up the plot at each tick."""
        for tick in ticks:
            self._line(self.x(tick), self._top, self.x(tick), self._bottom, LINE)
            self.text(self.x(tick), self._bottom + 16, form.format(tick), anchor="middle", colour=GREY)
        self.text((self._left + self._right) / 2, self._bottom + 36, label, anchor="middle")

    def y_axis(self, ticks: Sequence[float], label: str, form: str = "{:g}") -> None:
        """Draw the vertical axis with a line across the plot at each tick; the label stands above it."""
        for tick in ticks:
            self._line(self._left, self.y(tick), self._right, self.y(tick), LINE)
            self.text(self._left - 8, self.y(tick) + 4, form.format(tick), anchor="end", colour=GREY)
        self.text(self._left, self._top - 12, label)

    def dot(self, x: float, y: float, colour: str, *, radius: float = 5, hollow: bool = False) -> None:
        """Draw a dot at a pair of values."""
        fill = "#ffffff" if hollow else colour
        self._parts.append(
            f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius:.1f}" fill="{fill}" '
            f'stroke="{colour}" stroke-width="2"/>'
        )

    def segment(
        self, start: tuple[float, float], end: tuple[float, float], colour: str, *, dashed: bool = False
    ) -> None:
        """Draw a line between two pairs of values."""
        (x1, y1), (x2, y2) = start, end
        self._line(self.x(x1), self.y(y1), self.x(x2), self.y(y2), colour, width=2, dashed=dashed)

    def bar(self, left: float, right: float, middle: float, height: float, colour: str) -> None:
        """Draw a horizontal bar between two values, *height* pixels high around the row of *middle*."""
        width = max(0.0, self.x(right) - self.x(left))
        self._parts.append(
            f'<rect x="{self.x(left):.1f}" y="{self.y(middle) - height / 2:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" fill="{colour}"/>'
        )

    def label(
        self, x: float, y: float, words: str, *, offset: tuple[float, float] = (8, 4), anchor: str = "start"
    ) -> None:
        """Write beside a pair of values."""
        self.text(self.x(x) + offset[0], self.y(y) + offset[1], words, anchor=anchor)

    def row_name(self, y: float, words: str) -> None:
        """Write left of the plotting area, at the row of a value."""
        self.text(self._left - 10, self.y(y) + 4, words, anchor="end")

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Write names with their colours in one line above the plot."""
        at = float(self._left)
        for name, colour in entries:
            self.swatch(at, self._top - 36, name, colour)
            at += 34 + 6.6 * len(name)

    def swatch(self, x: float, y: float, name: str, colour: str) -> None:
        """Draw a square of a colour at a pixel, and what the colour stands for."""
        self._parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="11" height="11" rx="2" fill="{colour}"/>')
        self.text(x + 16, y + 10, name)

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", colour: str = INK) -> None:
        """Write at a pixel."""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'
        )

    def svg(self) -> str:
        """Return the plot."""
        width, height = self._size
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" font-family="{_FONT}" font-size="12">'
            f"<title>{escape(self._title)}</title>"
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>{"".join(self._parts)}</svg>'
        )

    def _line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str, *, width: int = 1, dashed: bool = False
    ) -> None:
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"{dashes}/>'
        )
