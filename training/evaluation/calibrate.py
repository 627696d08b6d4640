"""Calibration of confidence: the share of right sentences among those of a given likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from echo_node.inference.confidence import Calibration, likelihoods
from echo_node.model.decoding.canvas import Decoded
from echo_node.report_text.draft_sections import split_sections
from training.phantom.findings import Findings
from training.phantom.language.parser import is_true_finding, is_true_impression, parse_report

_SMALLEST_BIN = 12
_GROWTH = 1.4


@dataclass(frozen=True, slots=True)
class Judged:
    """Sentences of drafts, compared with the truth.

    Attributes:
        likelihood: likelihood of each sentence under the model.
        right: whether each sentence is coherent and true.
    """

    likelihood: tuple[float, ...]
    right: tuple[bool, ...]


def judge(decoded: Sequence[Decoded], truths: Sequence[Findings], tokenizer: Any) -> Judged:
    """Split checked drafts of phantoms into sentences and compare each with the truth."""
    likelihood: list[float] = []
    right: list[bool] = []
    for draft, truth in zip(decoded, truths, strict=True):
        text = tokenizer.decode(list(draft.tokens), skip_special_tokens=True)
        language = parse_report(text).language
        sections = split_sections(text)
        spans = [*sections.findings, *sections.impression]
        likelihood += likelihoods(spans, text, draft.tokens, draft.probabilities, tokenizer)
        right += [is_true_finding(span.text, truth, language) for span in sections.findings]
        right += [is_true_impression(span.text, truth, language) for span in sections.impression]
    return Judged(tuple(likelihood), tuple(right))


def fit(judged: Judged, measured_on: str) -> Calibration:
    """Fit a non-decreasing map from likelihood to the share of right sentences.

    The shares are those of bins of likelihood; neighbouring bins whose shares decrease are pooled.
    The bins of the least likely sentences are the smallest, because readers need warnings there,
    and a good model writes few such sentences.

    Args:
        judged: sentences to fit on.
        measured_on: description of the data, stored with the calibration.
    """
    order = np.argsort(judged.likelihood, kind="stable")
    sizes = _SMALLEST_BIN * _GROWTH ** np.arange(1 + math.log(1 + len(order), _GROWTH))
    bins = [part for part in np.split(order, np.cumsum(sizes.astype(int))) if len(part)]
    pooled: list[tuple[float, float, int]] = []  # mean likelihood, share of right ones, sentences
    for part in bins:
        pooled.append(
            (
                float(np.mean(np.take(judged.likelihood, part))),
                float(np.mean(np.take(judged.right, part))),
                len(part),
            )
        )
        while len(pooled) > 1 and pooled[-2][1] >= pooled[-1][1]:
            (low, low_share, few), (high, high_share, many) = pooled[-2:]
            count = few + many
            merged = ((low * few + high * many) / count, (low_share * few + high_share * many) / count, count)
            pooled[-2:] = [merged]
    knots = [(float(f"{likelihood:.6g}"), round(share, 4)) for likelihood, share, _ in pooled]
    strictly = [knots[0], *(b for a, b in pairwise(knots) if b[0] > a[0])]
    likelihood, share = zip(*strictly, strict=True)
    return Calibration(likelihood, share, measured_on)


def reliability(judged: Judged, calibration: Calibration, bins: int = 10) -> list[tuple[float, float, int]]:
    """Return mean confidence, share right and number of sentences, for each bin of confidence."""
    confidence = np.array([calibration(likelihood) for likelihood in judged.likelihood])
    right = np.array(judged.right)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        (float(confidence[place == b].mean()), float(right[place == b].mean()), int((place == b).sum()))
        for b in range(bins)
        if (place == b).any()
    ]


def expected_calibration_error(rows: Sequence[tuple[float, float, int]]) -> float:
    """Return the mean distance between confidence and share right, over all sentences."""
    total = sum(count for _, _, count in rows)
    return sum(abs(confidence - share) * count for confidence, share, count in rows) / total
