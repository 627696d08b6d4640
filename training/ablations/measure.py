"""Measurement of checkpoints: drafts of held-out phantoms with every decoder, measured once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.decoding.canvas import DecodeSettings
from training.ablations.plan import AblationPlan
from training.ablations.runs import CASES_SEED, TrainingRun
from training.evaluation.cases import Cases
from training.evaluation.drafting import draft
from training.evaluation.evaluate import Plan, result_of
from training.evaluation.open_cases import open_cases
from training.file_cache import write_atomically

Row: TypeAlias = dict[str, Any]
CasesFor: TypeAlias = Callable[[ImagePreparation], Cases]

METRICS = (
    "coherent_sentences",
    "facts",
    "contradictions",
    "f1_micro",
    "f1_macro",
    "ended",
    "eos_accuracy",
    "garbled",
    "tokens_per_forward",
)
"""Metrics of an evaluation that are stored."""


def phantoms(count: int) -> CasesFor:
    """Return a cached function that renders held-out phantoms for an image preparation."""
    return cache(lambda preparation: open_cases(f"phantom:{count}", CASES_SEED, preparation))


class Measurements:
    """Metrics of checkpoints on one set of cases, stored in one file per checkpoint."""

    def __init__(self, plan: AblationPlan, count: int, cases_for: CasesFor, folder: Path) -> None:
        """Open a folder of measurements.

        Args:
            plan: plan that defines the decoders.
            count: number of cases.
            cases_for: function that returns the cases.
            folder: folder of the measurements.
        """
        self._plan, self._count, self._cases_for, self._folder = plan, count, cases_for, folder

    def of(self, run: TrainingRun) -> dict[str, Row]:
        """Return the stored metrics of the checkpoint of a run, by decoder."""
        stored = {json.dumps(row["measured_by"]): row for row in self._stored(run)}
        decoders = self._plan.decoders(run.stage)
        by = {decoder: json.dumps(self._measured_by(settings)) for decoder, settings in decoders.items()}
        return {decoder: stored[key]["figures"] for decoder, key in by.items() if key in stored}

    def complete(self, run: TrainingRun, progress: Callable[[str], None]) -> None:
        """Measure the checkpoint of a run with the decoders for which measurements are missing.

        Args:
            run: a finished run.
            progress: called with a description of the current step.
        """
        done = self.of(run)
        missing = {d: s for d, s in self._plan.decoders(run.stage).items() if d not in done}
        if not missing:
            return
        model = checkpoint.load(
            str(run.folder), adopt_block_length=1
        )  # a next-token checkpoint has no block length
        preparation = ImagePreparation.load(run.folder)
        progress("held-out phantoms")
        cases, stored = self._cases_for(preparation), self._stored(run)
        for decoder, settings in missing.items():
            progress(decoder)
            drafts = draft(model, preparation, cases.images, settings)
            row = result_of(decoder, drafts, cases, Plan(CASES_SEED, 0.0), progress).row
            metrics = {name: row[name] for name in METRICS}
            stored.append({"measured_by": self._measured_by(settings), "figures": metrics})
            write_atomically(self._file(run), json.dumps(stored, indent=1) + "\n")

    def _measured_by(self, settings: DecodeSettings) -> Row:
        return {"count": self._count, "seed": CASES_SEED, **asdict(settings)}

    def _file(self, run: TrainingRun) -> Path:
        return self._folder / f"{run.name}.json"

    def _stored(self, run: TrainingRun) -> list[Row]:
        file = self._file(run)
        rows: list[Row] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
        return rows
