"""CIDEr-D (Vedantam, Zitnick and Parikh, CVPR 2015): shared n-grams, weighted by their rarity.

CIDEr-D is implemented here because the usual package includes Java archives under the GPL. The
results equal those of that package, except that `echo_node.report_text.words` replaces Stanford's
tokeniser.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from echo_node.report_text.words import words

_LONGEST = 4
_SIGMA = 6.0
_SCALE = 10.0

NGrams: TypeAlias = Counter[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Vector:
    """A text as tf-idf weights, with one mapping and one norm for each n-gram length."""

    weights: tuple[dict[tuple[str, ...], float], ...]
    norms: tuple[float, ...]
    bigrams: int


def cider(drafts: Sequence[str], references: Sequence[str]) -> float:
    """Return the mean CIDEr-D of drafts, 0 to 10, each against its one reference.

    The rarity of an n-gram is counted over the references. With a single study, every n-gram is in
    all references, so the score is 0.
    """
    draft_counts = [_counts(draft) for draft in drafts]
    reference_counts = [_counts(reference) for reference in references]
    holding: NGrams = Counter(ngram for counts in reference_counts for ngram in counts)
    studies = math.log(max(1, len(references)))
    scores = [
        _similarity(_vector(draft, holding, studies), _vector(reference, holding, studies))
        for draft, reference in zip(draft_counts, reference_counts, strict=True)
    ]
    return sum(scores) / max(1, len(scores))


def _counts(text: str) -> NGrams:
    tokens = words(text)
    return Counter(
        tuple(tokens[at : at + length])
        for length in range(1, _LONGEST + 1)
        for at in range(len(tokens) - length + 1)
    )


def _vector(counts: NGrams, holding: NGrams, studies: float) -> _Vector:
    weights: tuple[dict[tuple[str, ...], float], ...] = tuple({} for _ in range(_LONGEST))
    for ngram, count in counts.items():
        weights[len(ngram) - 1][ngram] = count * (studies - math.log(max(1, holding[ngram])))
    norms = tuple(math.sqrt(sum(weight**2 for weight in of_length.values())) for of_length in weights)
    return _Vector(weights, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2))


def _similarity(draft: _Vector, reference: _Vector) -> float:
    penalty = math.exp(-((draft.bigrams - reference.bigrams) ** 2) / (2 * _SIGMA**2))
    total = 0.0
    for length in range(_LONGEST):
        norm = draft.norms[length] * reference.norms[length]
        of_reference = reference.weights[length]
        shared = sum(
            min(weight, of_reference[ngram]) * of_reference[ngram]
            for ngram, weight in draft.weights[length].items()
            if ngram in of_reference
        )
        total += shared / norm if norm else 0.0
    return _SCALE * penalty * total / _LONGEST
