"""Plots of an evaluation: frontier, findings, garble, lengths, reliability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from echo_node import plotting
from echo_node.plotting import GREY, INK, PALETTE
from echo_node.report_text.garble import KINDS
from echo_node.report_text.words import words
from training.evaluation.evaluate import Evaluation, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLIND = "shuffled_images"
_WIDTH = 7.5
_ROW = 0.32
_BINS = 24


def plots(evaluation: Evaluation) -> dict[str, tuple[str, str]]:
    """Return the plots that the evaluation has data for, as name -> (caption, SVG)."""
    found: dict[str, tuple[str, str]] = {}
    points = _frontier_points(evaluation.results)
    if points:
        found["frontier"] = (
            "Coherence against speed. Up and to the right is better. Hollow: not the model itself.",
            _frontier(points),
        )
    best = _find_result(evaluation.results, "adaptive_repair") or evaluation.results[0]
    compared = [best, *(r for r in evaluation.results if r.name.startswith("one_step") and r is not best)]
    found["findings"] = (
        "F1 by finding, with 95 % intervals. Overlap with shuffled images: sight is not demonstrated.",
        _findings(compared),
    )
    found["garble"] = ("Faults per 100 words, by kind.", _garble(evaluation))
    found["lengths"] = ("Words of drafts and of references.", _lengths(evaluation, best))
    if evaluation.reliability:
        found["reliability"] = (
            "Share of sentences that were coherent and true, by confidence. Larger dots: more sentences.",
            _reliability(evaluation.reliability),
        )
    return found


def reliability_diagram(axes: Axes, rows: Sequence[tuple[float, float, int]]) -> None:
    """Draw mean confidence against the share of right sentences.

    Args:
        axes: panel to draw on.
        rows: mean confidence, share of right sentences and number of sentences of each bin.
    """
    largest = max(count for _, _, count in rows)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    sizes = [20 + 180 * count / largest for _, _, count in rows]
    axes.scatter([row[0] for row in rows], [row[1] for row in rows], s=sizes, color=INK)
    axes.set_xlabel("confidence of a sentence")
    axes.set_ylabel("share that is coherent and true")


def _find_result(results: Sequence[Result], name: str) -> Result | None:
    return next((result for result in results if result.name == name), None)


def plain(name: str) -> str:
    """Return a name of the program as words."""
    return name.replace("_", " ")


def _frontier_points(results: Sequence[Result]) -> list[tuple[str, float, float]]:
    points = []
    for result in results:
        speed, coherent = result.measured.tokens_per_forward, result.row["coherent_sentences"]
        if speed is not None and isinstance(coherent, float):
            points.append((result.name, speed, coherent))
    return points


def _frontier(points: Sequence[tuple[str, float, float]]) -> str:
    figure, (axes,) = plotting.new_figure(_WIDTH, 4)
    for place, (name, speed, coherent) in enumerate(points):
        hollow = name.startswith("teacher") or name.endswith(_BLIND)
        colour = PALETTE[place % len(PALETTE)]
        _dot(axes, speed, coherent, colour, hollow=hollow, label=plain(name))
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("tokens per forward pass (faster to the right)")
    axes.set_ylabel("coherent sentences")
    plotting.legend_right_of(axes)
    return plotting.as_svg(figure, "Coherent sentences against tokens per forward pass")


def _findings(results: Sequence[Result]) -> str:
    names = [score.name for score in results[0].findings.all]
    figure, (axes,) = plotting.new_figure(_WIDTH, 1.3 + _ROW * len(names))
    for place, (result, colour) in enumerate(zip(results, PALETTE, strict=False)):
        scores = {score.name: score.f1 for score in result.findings.all}
        label = plain(result.name)
        for row, name in enumerate(names):
            f1 = scores.get(name)
            if f1 is None or math.isnan(f1.point):
                continue
            at = row + 0.24 * (place - 1)
            axes.plot([f1.low, f1.high], [at, at], color=colour, linewidth=2)
            _dot(axes, f1.point, at, colour, hollow=result.name.endswith(_BLIND), label=label)
            label = ""
    _rows(axes, names)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("F1")
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return plotting.as_svg(figure, "F1 by finding with confidence intervals")


def _garble(evaluation: Evaluation) -> str:
    rows = [("references", evaluation.of_references)]
    rows += [(result.name, result.garble) for result in evaluation.results]
    figure, (axes,) = plotting.new_figure(_WIDTH, 1.6 + _ROW * len(rows))
    starts = [0.0] * len(rows)
    for kind, colour in zip(KINDS, PALETTE, strict=False):
        widths = [faults.by_kind()[kind][0] for _, faults in rows]
        axes.barh(range(len(rows)), widths, 0.6, starts, color=colour, label=plain(kind))
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    for row, (start, (_, faults)) in enumerate(zip(starts, rows, strict=True)):
        axes.annotate(
            f"{faults.per_100_words:.2f}",
            (start, row),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    _rows(axes, [name for name, _ in rows])
    axes.set_xlim(0, 1.1 * max(1.0, *starts))
    axes.set_xlabel("faults per 100 words")
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return plotting.as_svg(figure, "Garble by kind")


def _lengths(evaluation: Evaluation, result: Result) -> str:
    sets: Mapping[str, tuple[list[int], str]] = {
        "references": ([len(words(text)) for text in evaluation.cases.references], GREY),
        result.name: (result.garble.words_N.tolist(), PALETTE[0]),
    }
    longest = max(max(lengths) for lengths, _ in sets.values()) + 1
    figure, (axes,) = plotting.new_figure(_WIDTH, 3)
    for name, (lengths, colour) in sets.items():
        shares = [1 / len(lengths)] * len(lengths)
        axes.hist(
            lengths,
            bins=_BINS,
            range=(0, longest),
            weights=shares,
            histtype="step",
            linewidth=2,
            color=colour,
            label=plain(name),
        )
    axes.set_xlim(0, longest)
    axes.set_xlabel("words")
    axes.set_ylabel("share of texts")
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return plotting.as_svg(figure, "Lengths of drafts and references")


def _reliability(rows: Sequence[tuple[float, float, int]]) -> str:
    figure, (axes,) = plotting.new_figure(5, 4.5)
    reliability_diagram(axes, rows)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    return plotting.as_svg(figure, "Reliability of confidences")


def _dot(axes: Axes, x: float, y: float, colour: str, *, hollow: bool, label: str) -> None:
    face = "white" if hollow else colour
    axes.plot([x], [y], "o", markersize=6, color=colour, markerfacecolor=face, markeredgewidth=2, label=label)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a horizontal plot, the first at the top."""
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
