"""Overlap of words with the reference: BLEU, ROUGE-L and CIDEr.

They tell whether a draft is worded like its reference, hardly whether it is true: a "no" more or less is one
word of eighty. BLEU is sacrebleu's (lower case, its tokeniser 13a, no smoothing), ROUGE-L that of
`rouge-score` with stemming, averaged over studies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from training.evaluation.metrics.cider import cider

_ORDERS = (1, 2, 3, 4)


def overlap(
    drafts: Sequence[str], references: Sequence[str], note: Callable[[str], None]
) -> dict[str, float]:
    """Score drafts, each against its one reference.

    Args:
        drafts: texts.
        references: texts of the same studies.
        note: told what is left out, and what to install for it.

    Returns:
        `bleu_1` to `bleu_4` and `rouge_l` (0 to 1) and `cider` (0 to 10), as far as what they need is
        installed.
    """
    figures: dict[str, float] = {}
    if find_spec("sacrebleu"):
        figures |= _bleu(drafts, references)
    else:
        note("BLEU is left out: pip install 'echo-node[metrics]'")
    if find_spec("rouge_score"):
        figures["rouge_l"] = _rouge_l(drafts, references)
    else:
        note("ROUGE-L is left out: pip install 'echo-node[metrics]'")
    return figures | {"cider": cider(drafts, references)}


def _bleu(drafts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Return BLEU of the whole set up to each order, from one count of n-grams."""
    from sacrebleu import BLEU

    bleu = BLEU(lowercase=True, force=True, smooth_method="none", max_ngram_order=max(_ORDERS))
    counted = bleu.corpus_score(list(drafts), [list(references)])
    shares = [precision / 100 for precision in counted.precisions]
    return {f"bleu_{order}": counted.bp * _geometric_mean(shares[:order]) for order in _ORDERS}


def _geometric_mean(shares: Sequence[float]) -> float:
    if min(shares) <= 0:
        return 0.0
    return math.exp(sum(math.log(share) for share in shares) / len(shares))


def _rouge_l(drafts: Sequence[str], references: Sequence[str]) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=_StemmedWords())
    scores = [
        scorer.score(reference, draft)["rougeL"].fmeasure
        for draft, reference in zip(drafts, references, strict=True)
    ]
    return float(sum(scores) / max(1, len(scores)))


class _StemmedWords:
    """`rouge-score`'s own tokeniser with stemming, which remembers the words that it has seen."""

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        tokenizer: Any = DefaultTokenizer(use_stemmer=True)
        self._of_word = lru_cache(maxsize=None)(tokenizer.tokenize)

    def tokenize(self, text: str) -> list[str]:
        """Return the stems of a text."""
        return [token for word in text.split() for token in self._of_word(word)]
