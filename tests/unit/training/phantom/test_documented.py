"""docs/explanation/phantom-world.md states the facts and the frequencies that the code has."""

from collections import Counter
from pathlib import Path

import numpy as np

from training.phantom.findings import CLASSES, FACTS, labels
from training.phantom.prevalence import sample_findings

PAGE = Path(__file__).parents[4] / "docs" / "explanation" / "phantom-world.md"
DRAWS = 5000


def frequencies() -> list[str]:
    """The table's rows: the share of studies that show each class, in PA, AP and all studies."""
    rng = np.random.default_rng(0)
    shown: Counter[tuple[str, str]] = Counter()
    studies: Counter[str] = Counter()
    for _ in range(DRAWS):
        findings = sample_findings(rng)
        there: list[str] = [kind for kind, present in labels(findings).items() if present]
        for view in (findings.patient.view, "all"):
            studies[view] += 1
            shown.update((view, kind) for kind in there or ["normal"])
    return [
        f"| {kind.replace('_', ' ')} | "
        + " | ".join(f"{shown[view, kind] / studies[view]:.1%}" for view in ("PA", "AP", "all"))
        + " |"
        for kind in (*CLASSES, "normal")
    ]


def facts() -> list[str]:
    """The table's rows: each fact with its abnormal values."""
    return [
        f"| `{fact}` | {', '.join(f'`{value}`' for value in values[1:])} |" for fact, values in FACTS.items()
    ]


def test_the_page_has_the_frequencies() -> None:
    assert [row for row in frequencies() if row not in PAGE.read_text(encoding="utf-8")] == []


def test_the_page_has_every_fact_with_its_values() -> None:
    assert [row for row in facts() if row not in PAGE.read_text(encoding="utf-8")] == []
