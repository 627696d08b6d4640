"""Evaluation of a model: its drafts of held-out studies, compared with controls.

A sentence is coherent if the grammar can produce it for its section. A fact is one of the findings
of the phantom. It is right if the coherent sentences of the draft state its value and no other
value. Both need phantoms; all other metrics are also measured on free-text reports. The controls
are shuffled images and an always-normal answer: a fluent model that does not look at the image
scores no better than they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from echo_node.errors import CheckpointError
from echo_node.inference.confidence import Calibration
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.checkpoint import Checkpoint
from echo_node.model.decoding.canvas import DecodeSettings
from echo_node.model.decoding.decoder import decode_settings
from echo_node.report_text.garble import Garble, garble
from training.evaluation.calibrate import judge, reliability
from training.evaluation.cases import Cases, PhantomCases
from training.evaluation.drafting import DraftSet, draft
from training.evaluation.metrics.findings import FindingScores, finding_scores
from training.evaluation.metrics.overlap import overlap
from training.evaluation.metrics.scorers import Scorer

Row: TypeAlias = dict[str, object]
_MAX_NEW_TOKENS = 160
_TEACHER_THRESHOLD = 0.85
_NOT_NORMALISED = ""
_NORMALISED = "_normalised"


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings of an evaluation.

    Attributes:
        seed: random seed of the shuffled images and of the confidence intervals.
        threshold: confidence threshold of the adaptive decoder.
        scorers: additional metrics, which need weights or take long.
    """

    seed: int
    threshold: float
    scorers: tuple[Scorer, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """Drafts and metrics of one decoder or control."""

    row: Row
    measured: DraftSet
    findings: FindingScores
    garble: Garble

    @property
    def name(self) -> str:
        """Name of the decoder or control."""
        return str(self.row["decoder"])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Evaluation of a model.

    Attributes:
        model: name and version of the model, from the checkpoint.
        digest: digest of the checkpoint.
        cases: cases of the evaluation.
        plan: settings of the evaluation.
        results: results of the decoders, followed by those of the controls.
        of_references: garble of the reference reports, to compare that of the drafts with.
        reliability: mean confidence, share of right sentences and number of sentences, for each bin
            of confidence; empty if the model is not calibrated or the truth is unknown.
        left_out: metrics that were not measured, each with the reason.
    """

    model: str
    digest: str
    cases: Cases
    plan: Plan
    results: tuple[Result, ...]
    of_references: Garble
    reliability: tuple[tuple[float, float, int], ...]
    left_out: tuple[str, ...]

    @property
    def rows(self) -> list[Row]:
        """One row of metrics for each decoder and control."""
        return [result.row for result in self.results]


def evaluate(
    student: Checkpoint,
    cases: Cases,
    plan: Plan,
    progress: Callable[[str], None],
    note: Callable[[str], None],
) -> Evaluation:
    """Evaluate a model, its teacher if the checkpoint names one, and the controls.

    Args:
        student: model to evaluate.
        cases: studies that the model was not trained on.
        plan: settings of the evaluation.
        progress: called with a description of the current step.
        note: called with each metric that is left out, and the reason.
    """
    left_out: dict[str, None] = {}

    def leave_out(line: str) -> None:
        if line not in left_out:
            left_out[line] = None
            note(line)

    results = []
    for name, measured in _drafts(student, cases, plan, progress, leave_out):
        progress(f"{name}: metrics")
        results.append(result_of(name, measured, cases, plan, leave_out))
    marked = next((r.measured for r in results if r.name == "adaptive_mark"), None)
    return Evaluation(
        model=f"{student.facts.name} {student.facts.version}",
        digest=student.digest,
        cases=cases,
        plan=plan,
        results=tuple(results),
        of_references=garble(cases.references, cases.vocabulary),
        reliability=_reliability(student, cases, marked),
        left_out=tuple(left_out),
    )


def _drafts(
    student: Checkpoint,
    cases: Cases,
    plan: Plan,
    progress: Callable[[str], None],
    leave_out: Callable[[str], None],
) -> Iterator[tuple[str, DraftSet]]:
    """Yield the drafts of each decoder and control."""
    preparation = ImagePreparation.load(student.folder)
    one_step = decode_settings("one_step", plan.threshold, _MAX_NEW_TOKENS)
    adaptive = decode_settings("adaptive", plan.threshold, _MAX_NEW_TOKENS)
    multi_step = decode_settings("multi_step", _TEACHER_THRESHOLD, _MAX_NEW_TOKENS)

    def write(name: str, model: Checkpoint, settings: DecodeSettings) -> tuple[str, DraftSet]:
        progress(name)
        return name, draft(model, preparation, cases.images, settings)

    yield write("one_step", student, one_step)
    yield write("adaptive", student, adaptive)
    yield write("adaptive_mark", student, replace(adaptive, check="mark"))
    yield write("adaptive_repair", student, replace(adaptive, check="repair"))
    yield write("multi_step", student, multi_step)
    if student.facts.teacher:
        try:
            teacher = checkpoint.load(student.facts.teacher)
        except CheckpointError as error:
            leave_out(f"the teacher is left out: {error}")
        else:
            yield write("teacher_multi_step", teacher, multi_step)
            yield write("teacher_one_step", teacher, one_step)
    progress("one_step_shuffled_images")
    order = np.random.default_rng(plan.seed).permutation(len(cases.images))
    shuffled = [cases.images[index] for index in order]
    yield "one_step_shuffled_images", draft(student, preparation, shuffled, one_step)
    yield "always_normal", DraftSet(tuple(cases.always_normal()))


def result_of(
    name: str, measured: DraftSet, cases: Cases, plan: Plan, leave_out: Callable[[str], None]
) -> Result:
    """Return the metrics of the drafts of a decoder or control."""
    drafts = measured.texts
    findings = finding_scores([cases.labels_of(text) for text in drafts], cases.labels, plan.seed)
    faults = garble(drafts, cases.vocabulary)
    row: Row = {
        "decoder": name,
        **cases.truth_of(drafts),
        "tokens_per_forward": measured.tokens_per_forward,
        "ended": measured.ended,
        "eos_accuracy": float((measured.each_ended & faults.whole).mean()),
        "seconds": measured.seconds,
        "garbled": faults.garbled,
        "garble_per_100_words": faults.per_100_words,
        "words": float(faults.words_N.mean()),
        "f1_micro": findings.micro.f1.as_dict()["point"],
        "f1_macro": findings.macro.f1.as_dict()["point"],
        **_against(drafts, cases.references, plan.scorers, _NOT_NORMALISED, leave_out),
    }
    if cases.normalised is not None:
        row |= _against(drafts, cases.normalised, plan.scorers, _NORMALISED, leave_out)
    row["findings"] = findings.as_dict()
    row["garble"] = {
        kind: {"per_100_words": per_100, "drafts": share}
        for kind, (per_100, share) in faults.by_kind().items()
    }
    return Result(row, measured, findings, faults)


def _against(
    drafts: Sequence[str],
    references: Sequence[str],
    scorers: Sequence[Scorer],
    suffix: str,
    leave_out: Callable[[str], None],
) -> dict[str, float]:
    """Return the metrics against one wording of the references; their names end in *suffix*."""
    metrics = overlap(drafts, references, leave_out)
    for scorer in scorers:
        metrics |= scorer(drafts, references)
    return {f"{name}{suffix}": value for name, value in metrics.items()}


def _reliability(
    student: Checkpoint, cases: Cases, marked: DraftSet | None
) -> tuple[tuple[float, float, int], ...]:
    calibration = Calibration.load(student.folder)
    if calibration is None or marked is None or not isinstance(cases, PhantomCases):
        return ()
    return tuple(reliability(judge(marked.decoded, cases.truths, student.tokenizer), calibration))
