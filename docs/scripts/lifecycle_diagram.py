"""Draw the lifecycle of a study, docs/images/lifecycle.svg, from the table of transitions.

`python docs/scripts/lifecycle_diagram.py --write` or `--check`. Only the places of the states are
stated here. Two events that are possible in nearly every state, a new
instance and a withdrawal, are not drawn as arrows: the boxes carry a mark for each.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from html import escape
from textwrap import wrap

from generated_page import DOCS, run

from echo_node.domain.work.lifecycle import TRANSITIONS, StudyEvent, StudyState

PAGE = DOCS / "images" / "lifecycle.svg"
_PLACES = {
    StudyState.RECEIVING: (120, 75),
    StudyState.QUEUED: (370, 75),
    StudyState.DRAFTING: (620, 75),
    StudyState.DRAFTED: (895, 75),
    StudyState.DELIVERED: (1160, 75),
    StudyState.FAILED: (620, 235),
    StudyState.SKIPPED: (775, 235),
    StudyState.UNDELIVERED: (895, 235),
    StudyState.WITHDRAWING: (150, 235),
    StudyState.HELD: (390, 395),
    StudyState.WITHDRAWN: (170, 395),
}
"""Centre of each state's box."""

_BOX = (116, 40)
_SIZE = (1250, 440)
_APART = 13
"""Distance of an arrow from the line between two centres, so that arrows there and back are two."""
_MARKS = {StudyEvent.INSTANCE_ARRIVED: "+", StudyEvent.WITHDRAWN: "x"}
_LEGEND = (
    "+  a new instance starts a new revision: back to receiving",
    "x  an operator, or a change of identity, withdraws the draft: to withdrawing",
)
_STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#333;paint-order:stroke;stroke:#fff;stroke-width:4px}"
    ".state{font:600 13px system-ui,sans-serif;stroke:none}"
    "rect{fill:#eef2f6;stroke:#546e7a}.final{fill:#e3efe3}.bad{fill:#f6e6e4}"
    "path{stroke:#546e7a;fill:none}.mark{font:600 13px system-ui,sans-serif;fill:#a33}"
)
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0L10 5L0 10z" style="fill:#546e7a;stroke:none"/></marker></defs>'
)
_COLOURS = {
    StudyState.DELIVERED: "final",
    StudyState.SKIPPED: "final",
    StudyState.WITHDRAWN: "final",
    StudyState.FAILED: "bad",
    StudyState.UNDELIVERED: "bad",
    StudyState.HELD: "bad",
}


def render(_present: str) -> str:
    """Return the SVG."""
    width, height = _SIZE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>The lifecycle of a study</title>",
        f"<style>{_STYLE}</style>",
        _TIP,
        f'<rect width="{width}" height="{height}" style="fill:#fff;stroke:none"/>',
        *_arrows(),
        *(part for state in StudyState for part in _box(state)),
    ]
    for line, text in enumerate(_LEGEND):
        parts.append(f'<text x="495" y="{height - 50 + 18 * line}">{escape(text)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _box(state: StudyState) -> Iterator[str]:
    (x, y), (width, height) = _PLACES[state], _BOX
    left, top = x - width // 2, y - height // 2
    colour = _COLOURS.get(state, "")
    yield f'<rect class="{colour}" x="{left}" y="{top}" width="{width}" height="{height}" rx="8"/>'
    yield f'<text class="state" x="{x}" y="{y + 5}" text-anchor="middle">{state}</text>'
    leaves = {each.event for each in TRANSITIONS if each.source is state and each.target is not state}
    marks = " ".join(mark for event, mark in _MARKS.items() if event in leaves)
    yield f'<text class="mark" x="{left + width - 4}" y="{top - 5}" text-anchor="end">{marks}</text>'


def _arrows() -> Iterator[str]:
    labels: defaultdict[tuple[StudyState, StudyState], list[str]] = defaultdict(list)
    for each in TRANSITIONS:
        if each.event not in _MARKS and each.source is not each.target:
            labels[each.source, each.target].append(str(each.event))
    texts: list[str] = []
    for (source, target), events in labels.items():
        shifted = (target, source) in labels
        start, end = _ends(source, target, shifted=shifted)
        yield f'<path d="M{start[0]:.0f} {start[1]:.0f}L{end[0]:.0f} {end[1]:.0f}" marker-end="url(#tip)"/>'
        texts += _label(start, end, events, shifted=shifted)
    yield from texts


def _ends(
    source: StudyState, target: StudyState, *, shifted: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where an arrow leaves one box and reaches the other."""
    x0, y0 = map(float, _PLACES[source])
    x1, y1 = map(float, _PLACES[target])
    length = math.hypot(x1 - x0, y1 - y0)
    across, down = (x1 - x0) / length, (y1 - y0) / length
    aside = _APART if shifted else 0
    x0, x1 = x0 + down * aside, x1 + down * aside
    y0, y1 = y0 - across * aside, y1 - across * aside
    inside = min(_BOX[0] / 2 / abs(across or 1e-9), _BOX[1] / 2 / abs(down or 1e-9)) + 2
    return (x0 + across * inside, y0 + down * inside), (x1 - across * inside, y1 - down * inside)


def _label(
    start: tuple[float, float], end: tuple[float, float], events: list[str], *, shifted: bool
) -> Iterator[str]:
    """Yield the events of an arrow: above or below a level one, next to one of a pair, or on it."""
    lines = [line for event in events for line in wrap(event, 24)]
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 4 - 6.5 * (len(lines) - 1)
    anchor = "middle"
    if abs(end[1] - start[1]) < 1:
        y = start[1] + 16 if end[0] < start[0] else start[1] - 8 - 13 * (len(lines) - 1)
    elif shifted:
        anchor, x = ("end", x - 7) if end[1] < start[1] else ("start", x + 7)
    for number, line in enumerate(lines):
        yield f'<text x="{x:.0f}" y="{y + 13 * number:.0f}" text-anchor="{anchor}">{escape(line)}</text>'


if __name__ == "__main__":
    sys.exit(run(PAGE, render, sys.argv[1:]))
