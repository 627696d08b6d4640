"""Precision, recall and F1 of findings by class, each with a confidence interval.

Uncertain findings count as present, as in CheXbert's F1 for generated reports.

Shapes: N studies, C classes, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.evaluation.metrics.bootstrap import Interval, interval, resamples

Labels: TypeAlias = Mapping[str, Literal["positive", "negative", "uncertain"] | None]
"""Status of each class in a report; None if the report does not mention it."""

_PRESENT = ("positive", "uncertain")
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Scores of one class, or of all classes together.

    Attributes:
        name: name of the class; `micro` and `macro` are over all classes.
        support: number of references in which the class is present.
        drafted: number of drafts in which the class is present.
        precision: share of the drafted findings that are in the reference; 0 if a class that
            references contain is never drafted.
        recall: share of the findings of references that are drafted; 0 if a class is drafted that
            no reference contains.
        f1: harmonic mean of the two. A class that is in no draft and in no reference has no scores.
    """

    name: str
    support: int
    drafted: int
    precision: Interval
    recall: Interval
    f1: Interval

    def as_dict(self) -> dict[str, object]:
        """Return the scores for JSON."""
        scores = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {"support": self.support, "drafted": self.drafted} | {
            name: score.as_dict() for name, score in scores.items()
        }


@dataclass(frozen=True, slots=True)
class FindingScores:
    """Scores of each class, over all decisions together (`micro`), and averaged (`macro`)."""

    classes: tuple[ClassScore, ...]
    micro: ClassScore
    macro: ClassScore

    @property
    def all(self) -> tuple[ClassScore, ...]:
        """Every class, then `micro` and `macro`."""
        return (*self.classes, self.micro, self.macro)

    def as_dict(self) -> dict[str, object]:
        """Return the scores of every class, of `micro` and of `macro`, by name."""
        return {score.name: score.as_dict() for score in self.all}


def finding_scores(drafts: Sequence[Labels], references: Sequence[Labels], seed: int) -> FindingScores:
    """Score the findings of drafts against those of the references of the same studies.

    Raises:
        ValueError: there are no studies, or the numbers of drafts and references differ.
    """
    if not drafts or len(drafts) != len(references):
        raise ValueError(f"{len(drafts)} drafts cannot be scored against {len(references)} references")
    names = list(dict.fromkeys(name for labels in (*references, *drafts) for name in labels))
    drafted_NC, present_NC = _present(drafts, names), _present(references, names)
    right_NC = drafted_NC & present_NC
    once_1N = np.ones((1, len(drafts)), dtype=np.int64)
    weights_RN = np.concatenate([once_1N, resamples(len(drafts), seed)])  # first row: the data
    right_RC, drafted_RC, present_RC = (
        weights_RN.astype(np.float64) @ flags_NC.astype(np.float64)
        for flags_NC in (right_NC, drafted_NC, present_NC)
    )
    precision_RC, recall_RC, f1_RC = _ratios(right_RC, drafted_RC, present_RC)
    pooled = _ratios(*(count_RC.sum(1, keepdims=True) for count_RC in (right_RC, drafted_RC, present_RC)))
    support_C, stated_C = present_NC.sum(0), drafted_NC.sum(0)
    classes = tuple(
        _score(name, support_C[c], stated_C[c], (precision_RC[:, c], recall_RC[:, c], f1_RC[:, c]))
        for c, name in enumerate(names)
    )
    totals = (support_C.sum(), stated_C.sum())
    micro = _score("micro", *totals, tuple(score_R1[:, 0] for score_R1 in pooled))
    macro = _score("macro", *totals, tuple(_mean(f) for f in (precision_RC, recall_RC, f1_RC)))
    return FindingScores(classes, micro, macro)


def _present(labels: Sequence[Labels], names: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([[study.get(name) in _PRESENT for name in names] for study in labels], dtype=bool)


def _ratios(right: _Floats, drafted: _Floats, present: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Return precision, recall and F1 of counts; NaN if nothing is drafted or present."""
    nothing = drafted + present == 0
    ratios = (
        right / np.maximum(drafted, 1),
        right / np.maximum(present, 1),
        2 * right / np.maximum(drafted + present, 1),
    )
    precision, recall, f1 = (np.where(nothing, np.nan, ratio) for ratio in ratios)
    return precision, recall, f1


def _mean(score_RC: _Floats) -> _Floats:
    """Return the mean over the classes that have a score (R,)."""
    defined_RC = ~np.isnan(score_RC)
    count_R = defined_RC.sum(1)
    total_R = np.where(defined_RC, score_RC, 0.0).sum(1)
    return np.where(count_R > 0, total_R / np.maximum(count_R, 1), np.nan)


def _score(name: str, support: int, drafted: int, scores: tuple[_Floats, ...]) -> ClassScore:
    precision, recall, f1 = (interval(float(score_R[0]), score_R[1:]) for score_R in scores)
    return ClassScore(name, int(support), int(drafted), precision, recall, f1)
