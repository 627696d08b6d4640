"""Confidence of a sentence: its likelihood, mapped to the share of correct sentences.

The likelihood of a sentence is the product of its tokens' probabilities. A calibration, measured on
held-out reports whose truth is known, gives the share of sentences of that likelihood that were
correct.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from echo_node.errors import CheckpointError
from echo_node.report_text.draft_sections import Span

FILE_NAME = "calibration.json"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Map from likelihood to the share of correct sentences, linear between its knots.

    Attributes:
        likelihoods: likelihoods of the knots, strictly increasing, in [0, 1].
        shares: shares of sentences that were coherent and true, never decreasing.
        measured_on: data on which the map was measured.
    """

    likelihoods: tuple[float, ...]
    shares: tuple[float, ...]
    measured_on: str

    def __post_init__(self) -> None:
        rising = list(self.likelihoods) == sorted(set(self.likelihoods))
        if not self.likelihoods or len(self.likelihoods) != len(self.shares) or not rising:
            raise ValueError("a calibration needs strictly increasing likelihoods and a share for each")

    def __call__(self, likelihood: float) -> float:
        """Return the share of correct sentences at this likelihood."""
        at = bisect_right(self.likelihoods, likelihood)
        if at == 0:
            return self.shares[0]
        if at == len(self.likelihoods):
            return self.shares[-1]
        low, high = self.likelihoods[at - 1], self.likelihoods[at]
        part = (likelihood - low) / (high - low)
        return self.shares[at - 1] + part * (self.shares[at] - self.shares[at - 1])

    def save(self, folder: Path) -> None:
        """Write calibration.json."""
        stored = {
            "likelihoods": self.likelihoods,
            "shares": self.shares,
            "measured_on": self.measured_on,
        }
        (folder / FILE_NAME).write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Calibration | None:
        """Read calibration.json; return None if the checkpoint has none.

        Raises:
            CheckpointError: the file is not in the format of `save`.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            return None
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            likelihoods, shares = tuple(stored["likelihoods"]), tuple(stored["shares"])
            return cls(likelihoods, shares, str(stored["measured_on"]))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is not a calibration") from error


def likelihoods(
    spans: Sequence[Span], text: str, tokens: Sequence[int], probabilities: Sequence[float], tokenizer: Any
) -> list[float]:
    """Return the product of the token probabilities of each sentence.

    Args:
        spans: sentences of *text*.
        text: text of the tokens, without special tokens.
        tokens: token ids.
        probabilities: probabilities of the tokens.
        tokenizer: byte-level tokeniser such as Qwen's, in which each character of a token stands
            for a byte.
    """
    special = set(tokenizer.all_special_ids)
    pieces = tokenizer.convert_ids_to_tokens(list(tokens))
    widths = [0 if t in special else len(piece) for t, piece in zip(tokens, pieces, strict=True)]
    ends = list(accumulate(widths))
    products = []
    for span in spans:
        first, last = (len(text[:at].encode()) for at in (span.start, span.end))
        inside = (
            math.log(max(p, 1e-9))
            for p, width, end in zip(probabilities, widths, ends, strict=True)
            if end > first and end - width < last
        )
        products.append(math.exp(sum(inside)))
    return products
