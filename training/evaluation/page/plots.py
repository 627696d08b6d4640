"""The plots of an evaluation: frontier, findings, garble, lengths, reliability."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from echo_node.report_text.garble import KINDS, Garble
from echo_node.report_text.words import words
from training.evaluation.evaluate import Evaluation, Result
from training.evaluation.page.chart import GREY, INK, PALETTE, Chart

_TENTHS = tuple(tick / 10 for tick in range(0, 11, 2))
_BLIND = "shuffled_images"
_ROW = 26
_WIDTH = 640
_NAMES = 200  # pixels for the names of dots, right of the plot
_BINS = 24


def plots(evaluation: Evaluation) -> dict[str, tuple[str, str]]:
    """Return the plots that the evaluation has data for: name -> caption and SVG."""
    drawn: dict[str, tuple[str, str]] = {}
    points = _frontier_points(evaluation.results)
    if points:
        drawn["frontier"] = (
            "Coherence against speed. Up and to the right is better; hollow: not the model itself.",
            _frontier(points),
        )
    best = _of_name(evaluation.results, "adaptive_repair") or evaluation.results[0]
    compared = [best, *(r for r in evaluation.results if r.name.startswith("one_step") and r is not best)]
    drawn["findings"] = (
        "F1 by finding with 95 % intervals; where they meet those of shuffled images, sight is not shown.",
        _findings(compared),
    )
    drawn["garble"] = ("Faults per 100 words, by kind.", _garble(evaluation))
    drawn["lengths"] = ("Words of drafts and of references.", _lengths(evaluation, best))
    if evaluation.reliability:
        drawn["reliability"] = (
            "How often sentences of a confidence were coherent and true; larger dots are more sentences.",
            _reliability(evaluation.reliability),
        )
    return drawn


def _of_name(results: Sequence[Result], name: str) -> Result | None:
    return next((result for result in results if result.name == name), None)


def _frontier_points(results: Sequence[Result]) -> list[tuple[str, float, float]]:
    found = []
    for result in results:
        speed, coherent = result.measured.tokens_per_forward, result.row["coherent_sentences"]
        if speed is not None and isinstance(coherent, float):
            found.append((result.name, speed, coherent))
    return found


def _frontier(points: Sequence[tuple[str, float, float]]) -> str:
    furthest = math.ceil(max(speed for _, speed, _ in points)) + 1
    chart = Chart(
        (_WIDTH, 400),
        (36, _NAMES, 52, 52),
        (0, furthest),
        (0, 1),
        "Coherent sentences against tokens a forward",
    )
    chart.x_axis(range(furthest + 1), "tokens a forward (faster to the right)")
    chart.y_axis(_TENTHS, "coherent sentences", "{:.1f}")
    for place, (name, speed, coherent) in enumerate(points):
        colour = PALETTE[place % len(PALETTE)]
        chart.dot(speed, coherent, colour, hollow=name.startswith("teacher") or name.endswith(_BLIND))
        chart.swatch(_WIDTH - _NAMES + 24, 40 + 24 * place, name.replace("_", " "), colour)
    return chart.svg()


def _findings(results: Sequence[Result]) -> str:
    names = [score.name for score in (*results[0].findings.classes, results[0].findings.micro)]
    names.append(results[0].findings.macro.name)
    chart = Chart(
        (_WIDTH, 96 + _ROW * len(names)),
        (44, 24, 52, 190),
        (0, 1),
        (-0.5, len(names) - 0.5),
        "F1 by finding with confidence intervals",
    )
    chart.x_axis(_TENTHS, "F1", "{:.1f}")
    chart.legend(
        [(result.name.replace("_", " "), colour) for result, colour in zip(results, PALETTE, strict=False)]
    )
    for row, name in enumerate(reversed(names)):
        chart.row_name(row, name.replace("_", " "))
        for place, (result, colour) in enumerate(zip(results, PALETTE, strict=False)):
            scores = {
                s.name: s for s in (*result.findings.classes, result.findings.micro, result.findings.macro)
            }
            score = scores.get(name)
            if score is None or math.isnan(score.f1.point):
                continue
            at = row + 0.24 * (1 - place)
            chart.segment((score.f1.low, at), (score.f1.high, at), colour)
            chart.dot(score.f1.point, at, colour, radius=4, hollow=result.name.endswith(_BLIND))
    return chart.svg()


def _garble(evaluation: Evaluation) -> str:
    rows = [("references", evaluation.of_references)]
    rows += [(result.name, result.garble) for result in evaluation.results]
    highest = max(1.0, *(faults.per_100_words for _, faults in rows))
    chart = Chart(
        (_WIDTH, 118 + _ROW * len(rows)),
        (66, 56, 52, 190),
        (0, highest),
        (-0.5, len(rows) - 0.5),
        "Garble by kind",
    )
    chart.x_axis([highest * part / 4 for part in range(5)], "faults per 100 words", "{:.1f}")
    kinds = list(zip(KINDS, PALETTE, strict=False))
    _legend_of_kinds(chart, [(kind.replace("_", " "), colour) for kind, colour in kinds])
    for row, (name, faults) in enumerate(reversed(rows)):
        chart.row_name(row, name.replace("_", " "))
        _stack(chart, row, faults, kinds)
    return chart.svg()


def _legend_of_kinds(chart: Chart, entries: Sequence[tuple[str, str]]) -> None:
    for place, (name, colour) in enumerate(entries):
        left, top = 20 + 200 * (place % 3), 14 + 20 * (place // 3)
        chart.swatch(left, top, name, colour)


def _stack(chart: Chart, row: int, faults: Garble, kinds: Sequence[tuple[str, str]]) -> None:
    start, by_kind = 0.0, faults.by_kind()
    for kind, colour in kinds:
        per_100 = by_kind[kind][0]
        chart.bar(start, start + per_100, row, 15, colour)
        start += per_100
    chart.label(start, row, f"{faults.per_100_words:.2f}", offset=(6, 4))


def _lengths(evaluation: Evaluation, result: Result) -> str:
    sets = [
        ("references", [len(words(text)) for text in evaluation.cases.references], GREY),
        (result.name, result.garble.words_N.tolist(), PALETTE[0]),
    ]
    longest = max(max(lengths) for _, lengths, _ in sets) + 1
    edges = np.linspace(0, longest, _BINS + 1)
    shares = [np.histogram(lengths, edges)[0] / len(lengths) for _, lengths, _ in sets]
    highest = float(max(share.max() for share in shares)) * 1.05
    chart = Chart(
        (_WIDTH, 300), (60, 24, 52, 60), (0, longest), (0, highest), "Lengths of drafts and references"
    )
    chart.x_axis([round(longest * part / 5) for part in range(6)], "words")
    chart.y_axis([highest * part / 4 for part in range(5)], "share of texts", "{:.2f}")
    chart.legend([(name.replace("_", " "), colour) for name, _, colour in sets])
    for share, (_, _, colour) in zip(shares, sets, strict=True):
        before = 0.0
        for left, right, height in zip(edges, edges[1:], share, strict=False):
            chart.segment((float(left), before), (float(left), float(height)), colour)
            chart.segment((float(left), float(height)), (float(right), float(height)), colour)
            before = float(height)
        chart.segment((float(edges[-1]), before), (float(edges[-1]), 0.0), colour)
    return chart.svg()


def _reliability(rows: Sequence[tuple[float, float, int]]) -> str:
    chart = Chart((_WIDTH, 400), (36, 30, 52, 52), (0, 1), (0, 1), "Reliability of confidences")
    chart.x_axis(_TENTHS, "confidence of a sentence", "{:.1f}")
    chart.y_axis(_TENTHS, "share that is coherent and true", "{:.1f}")
    chart.segment((0, 0), (1, 1), GREY, dashed=True)
    most = max(count for _, _, count in rows)
    for confidence, share, count in rows:
        chart.dot(confidence, share, INK, radius=3 + 7 * math.sqrt(count / most))
    return chart.svg()
