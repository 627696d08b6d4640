"""Word overlap with the reference: BLEU, ROUGE-L and CIDEr.

They show whether a draft is worded like its reference, but hardly whether it is true: a missing
"no" is one word of eighty. BLEU is that of sacrebleu (lower case, tokeniser 13a, no smoothing).
ROUGE-L is that of `rouge-score` with stemming, averaged over studies.
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
        drafts: texts of the drafts.
        references: texts of the references of the same studies.
        note: called with each metric that is left out, and what to install for it.

    Returns:
        `bleu_1` to `bleu_4` and `rouge_l` (0 to 1) if their packages are installed, and `cider` (0
        to 10).
    """
    scores: dict[str, float] = {}
    if find_spec("sacrebleu"):
        scores |= _bleu(drafts, references)
    else:
        note("BLEU is left out: pip install 'echo-node[metrics]'")
    if find_spec("rouge_score"):
        scores["rouge_l"] = _rouge_l(drafts, references)
    else:
        note("ROUGE-L is left out: pip install 'echo-node[metrics]'")
    return scores | {"cider": cider(drafts, references)}


def _bleu(drafts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Return the corpus BLEU up to each order, from one count of n-grams."""
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
    """Tokeniser of `rouge-score` with stemming, with a cache of words."""

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        tokenizer: Any = DefaultTokenizer(use_stemmer=True)
        self._of_word = lru_cache(maxsize=None)(tokenizer.tokenize)

    def tokenize(self, text: str) -> list[str]:
        """Return the stems of a text."""
        return [token for word in text.split() for token in self._of_word(word)]
