"""Measure and draw the charts of docs/explanation/decoding.md: `make figures`.

frontier.svg shows coherent sentences against tokens per forward pass, for every way to decode the
shipped model. reliability.svg shows the share of correct sentences by confidence. The numbers are
printed as tables.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

from generated_page import DOCS

from echo_node import plotting
from echo_node.inference.confidence import Calibration
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.checkpoint import Checkpoint
from echo_node.model.decoding.canvas import DecodeSettings
from echo_node.model.decoding.decoder import decode_settings
from echo_node.settings import ModelSettings
from training.evaluation.calibrate import expected_calibration_error, judge, reliability
from training.evaluation.cases import PhantomCases
from training.evaluation.drafting import draft
from training.evaluation.page.plots import reliability_diagram

_IMAGES = DOCS / "images"
_COUNT, _SEED = 512, 9
_DEFAULT = ModelSettings().confidence_threshold
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
_IMPROBABLE = (0.02, 0.05, 0.2)


@dataclass(frozen=True, slots=True)
class Way:
    """A way of decoding: the curve that it belongs to, its label, and which model decodes."""

    curve: str
    label: str
    settings: DecodeSettings
    teacher: bool = False


def ways() -> list[Way]:
    """Return every way that is measured."""
    one = decode_settings("one_step", _DEFAULT, 160)
    found = [Way("one step", "one step", one)]
    found += [
        Way("one step + repair", f"improbable {p}", replace(one, check="repair", improbable=p))
        for p in _IMPROBABLE
    ]
    for steps, curve in ((2, "at most 2 steps"), (4, "adaptive: at most 4 steps"), (0, "multi-step")):
        found += [Way(curve, f"threshold {t}", DecodeSettings(t, steps, 160)) for t in _THRESHOLDS]
    adaptive = decode_settings("adaptive", _DEFAULT, 160)
    found += [
        Way("adaptive + check", f"threshold {_DEFAULT}", replace(adaptive, check="mark")),
        Way("adaptive + check, repair", f"threshold {_DEFAULT}", replace(adaptive, check="repair")),
        Way("teacher, multi-step", "threshold 0.85", decode_settings("multi_step", 0.85, 160), teacher=True),
    ]
    return found


def main() -> None:
    """Measure, print the tables, write the figures."""
    _IMAGES.mkdir(exist_ok=True)
    student = checkpoint.load("echo-demo")
    teacher = checkpoint.load(student.facts.teacher)
    preparation = ImagePreparation.load(student.folder)
    cases = PhantomCases(_COUNT, _SEED, preparation.side)
    points: dict[str, list[tuple[float, float, str]]] = {}
    print("| decoder | | coherent | facts | tokens per forward pass |\n|---|---|---|---|---|")
    for way in ways():
        loaded: Checkpoint = teacher if way.teacher else student
        drafts = draft(loaded, preparation, cases.images, way.settings)
        figures, speed = cases.truth_of(drafts.texts), drafts.tokens_per_forward or 0.0
        coherent = figures["coherent_sentences"] or 0.0
        points.setdefault(way.curve, []).append((speed, coherent, way.label))
        print(f"| {way.curve} | {way.label} | {coherent:.3f} | {figures['facts']:.3f} | {speed:.2f} |")
        sys.stdout.flush()
    _draw_frontier(points)
    calibration = Calibration.load(student.folder)
    if calibration is None:
        print("no reliability diagram: `echo-node calibrate` has not been run")
        return
    marked = draft(
        student,
        preparation,
        cases.images,
        replace(decode_settings("adaptive", _DEFAULT, 160), check="mark"),
    )
    _draw_reliability(reliability(judge(marked.decoded, cases.truths, student.tokenizer), calibration))


def _draw_frontier(points: dict[str, list[tuple[float, float, str]]]) -> None:
    figure, (axes,) = plotting.new_figure(7.5, 4.5)
    for curve, measured in points.items():
        speeds, shares = [p[0] for p in measured], [p[1] for p in measured]
        axes.plot(speeds, shares, marker="o", markersize=4, linewidth=1.2, label=curve)
    axes.set_xlabel("tokens per forward pass (faster to the right)")
    axes.set_ylabel("coherent sentences")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(f"The demonstration model on {_COUNT} held-out phantoms", fontsize=10)
    plotting.save(figure, _IMAGES / "frontier.svg")


def _draw_reliability(rows: list[tuple[float, float, int]]) -> None:
    figure, (axes,) = plotting.new_figure(4.5, 4.5)
    reliability_diagram(axes, rows)
    error = expected_calibration_error(rows)
    axes.set_title(f"Expected calibration error {error:.3f}", fontsize=10)
    plotting.save(figure, _IMAGES / "reliability.svg")
    print(f"\nexpected calibration error {error:.4f} over {sum(r[2] for r in rows)} sentences")
    for confidence, share, count in rows:
        print(f"| {confidence:.3f} | {share:.3f} | {count} |")


if __name__ == "__main__":
    main()
