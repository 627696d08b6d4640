"""Results of all variants and seeds: lines of JSON, and a table for each claim."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training.ablations.measure import METRICS, Row
from training.ablations.plan import AblationPlan, Claim

COLUMNS = {
    "coherent": "coherent_sentences",
    "facts": "facts",
    "micro F1": "f1_micro",
    "macro F1": "f1_macro",
    "EOS accuracy": "eos_accuracy",
    "tokens per forward pass": "tokens_per_forward",
}
"""Columns of the tables; the lines of JSON contain all metrics."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Metrics of one variant, seed and decoder."""

    variant: str
    seed: int
    decoder: str
    checkpoint: str
    metrics: Row

    @property
    def line(self) -> str:
        """A line of `results.jsonl`."""
        head = {"variant": self.variant, "seed": self.seed, "decoder": self.decoder}
        return json.dumps(head | self.metrics | {"checkpoint": self.checkpoint}) + "\n"


@dataclass(frozen=True, slots=True)
class Failure:
    """A variant that could not be trained or measured."""

    variant: str
    seed: int
    reason: str

    def __str__(self) -> str:
        return f"{self.variant}, seed {self.seed}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric over the seeds: number of seeds, mean, lowest and highest value."""

    count: int
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.count == 1:
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} ({self.low:.3f}–{self.high:.3f})"  # noqa: RUF001 - a range

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Return the spread of the known values; None if no value is known."""
        known = [value for value in values if value is not None]
        return cls(len(known), statistics.fmean(known), min(known), max(known)) if known else None


Spreads = dict[tuple[str, str], dict[str, Spread | None]]
"""Spreads by (variant, decoder), then by metric."""


def spreads_of(measured: Sequence[Measurement]) -> Spreads:
    """Return the spread of every metric over the seeds."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for each in measured:
        groups.setdefault((each.variant, each.decoder), []).append(each.metrics)
    return {
        group: {name: Spread.of(row[name] for row in rows) for name in METRICS}
        for group, rows in groups.items()
    }


def markdown(
    plan: AblationPlan,
    measured: Sequence[Measurement],
    failures: Sequence[Failure],
    count: int,
    drawn: Sequence[str],
) -> str:
    """Return the page in Markdown: a table for each claim with measurements, and the failures.

    Args:
        plan: plan with the claims.
        measured: all measurements.
        failures: variants without measurements, with reasons.
        count: number of phantoms.
        drawn: claims that have a plot.
    """
    seeds = ", ".join(str(seed) for seed in sorted({each.seed for each in measured}))
    head = f"{count} held-out phantoms; seeds {seeds}. Mean over the seeds, lowest to highest in parentheses."
    parts = ["# The claims, one by one\n", f"{head}\n"]
    spreads = spreads_of(measured)
    for claim in plan.claims:
        rows = list(_rows(claim, measured, spreads))
        if not rows:
            continue
        parts += [f"## {claim.name}\n", f"{claim.says}\n", _table(rows)]
        if claim.name in drawn:
            parts.append(f"![Against tokens per forward pass]({claim.name}.svg)\n")
    if failures:
        parts += ["## Failed\n", "".join(f"- {failure}\n" for failure in failures)]
    return "\n".join(parts)


def _rows(claim: Claim, measured: Sequence[Measurement], spreads: Spreads) -> Iterable[list[str]]:
    for variant in claim.variants:
        for decoder in claim.decoders:
            if (variant, decoder) not in spreads:
                continue
            metrics = [spreads[variant, decoder][name] for name in COLUMNS.values()]
            seeds = {each.seed for each in measured if (each.variant, each.decoder) == (variant, decoder)}
            yield [variant, decoder, str(len(seeds)), *("–" if f is None else str(f) for f in metrics)]  # noqa: RUF001


def _table(rows: Sequence[Sequence[str]]) -> str:
    head = ["variant", "decoder", "seeds", *COLUMNS]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
