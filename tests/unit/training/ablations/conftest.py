"""A plan of recipes that run in a second, and three studies to measure on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support import tiny_recipes

from training.ablations.harness import AblationRequest, Harness
from training.ablations.plan import AblationPlan, load_plan
from training.evaluation.cases import ReportCases

PLAN = """
max_new_tokens = 16
thresholds = [0.5, 0.9]
[variants.ar]
recipe = "{folder}/ar.toml"
seed = 0
[variants.rad]
recipe = "{folder}/rad.toml"
after = "ar"
[variants.dcd]
recipe = "{folder}/dcd.toml"
after = "rad"
[variants.dcd-no-eos-term]
like = "dcd"
change = ["dcd.eos_weight=0"]
[variants.dcd-same]
recipe = "{folder}/dcd.toml"
after = "rad"
change = ["dcd.eos_weight=0.5", "model.version=second"]
[variants.half]
like = "rad"
data_share = 0.5
[[claims]]
name = "eos-term"
says = "It helps."
variants = ["dcd", "dcd-no-eos-term"]
decoders = ["one_step", "adaptive"]
[[claims]]
name = "teacher"
says = "It needs several steps."
variants = ["ar", "rad"]
decoders = ["next_token", "one_step", "multi_step_0.9"]
"""
HarnessOf = Callable[[AblationPlan, AblationRequest, Path], Harness]
REPORT = "Findings: The heart is normal. Impression: Normal."


@pytest.fixture
def plan(tmp_path: Path) -> AblationPlan:
    for name, text in (
        ("ar", tiny_recipes.AR),
        ("rad", tiny_recipes.RAD),
        ("dcd", tiny_recipes.dcd(tmp_path)),
    ):
        quick = (
            text.replace("steps = 6", "steps = 1")
            .replace("count = 8", "count = 4")
            .replace("batch = 4", "batch = 2")
        )
        (tmp_path / f"{name}.toml").write_text(quick)
    (tmp_path / "plan.toml").write_text(PLAN.format(folder=tmp_path))
    return load_plan(tmp_path / "plan.toml")


@pytest.fixture
def cases() -> ReportCases:
    pictures = [np.full((140, 140), shade, dtype=np.uint8) for shade in (0, 120)]
    return ReportCases("two", pictures, [REPORT, REPORT])


@pytest.fixture
def harness_of(cases: ReportCases) -> HarnessOf:
    return lambda plan, request, out: Harness(plan, request, out, Console(quiet=True), lambda _: cases)
