"""A plan on recipes of one update: trained once, kept, and not stopped by failures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from training.ablations import runs as running
from training.ablations.harness import AblationRequest, Harness
from training.ablations.plan import AblationPlan
from training.ablations.runs import Changes
from training.loop.run import run_stage

HarnessOf = Callable[[AblationPlan, AblationRequest, Path], Harness]
_DECODERS = ["one_step", "adaptive", "multi_step_0.5", "multi_step_0.9"]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the stages that are trained."""
    stages: list[str] = []

    def train(stage: str, recipe: str, out: Path, overrides: tuple[str, ...]) -> Path:
        stages.append(stage)
        return run_stage(stage, recipe, out, overrides)

    monkeypatch.setattr(running, "run_stage", train)
    return stages


def _lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.long
def test_shared_ancestors_are_trained_once_and_finished_ones_never_again(
    plan: AblationPlan,
    tmp_path: Path,
    harness_of: HarnessOf,
    trained: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    request = AblationRequest((0, 1), 2, ("eos-term", "dcd-same"))
    assert harness_of(plan, request, out).carry_out() == []
    assert trained == ["ar", "rad", "dcd", "dcd", "rad", "dcd", "dcd"]
    lines = _lines(out)
    assert [(line["variant"], line["seed"], line["decoder"]) for line in lines] == [
        (variant, seed, decoder)
        for seed in (0, 1)
        for variant in ("dcd", "dcd-no-eos-term", "dcd-same")
        for decoder in _DECODERS
    ]
    assert lines[0]["checkpoint"] == lines[8]["checkpoint"] != lines[4]["checkpoint"]
    assert "| dcd-no-eos-term | adaptive | 2 |" in (out / "results.md").read_text()
    assert (out / "eos-term.svg").is_file()

    trained.clear()
    monkeypatch.setattr("training.ablations.measure.draft", None)
    assert harness_of(plan, request, out).carry_out() == []
    assert trained == []
    assert _lines(out) == lines


@pytest.mark.slow
def test_what_was_interrupted_goes_on(
    plan: AblationPlan, tmp_path: Path, harness_of: HarnessOf, trained: list[str]
) -> None:
    out, request = tmp_path / "out", AblationRequest((0,), 2, ("rad",))
    first = harness_of(plan, request, out)
    first.carry_out()
    (first.training[-1].folder / "model.safetensors").unlink()
    (out / "measured" / f"{first.training[-1].name}.json").unlink()
    harness_of(plan, request, out).carry_out()
    assert trained == ["ar", "rad", "rad"]
    assert [line["decoder"] for line in _lines(out)] == _DECODERS


@pytest.mark.slow
def test_a_variant_that_fails_stops_neither_the_others_nor_is_it_tried_again(
    plan: AblationPlan, tmp_path: Path, harness_of: HarnessOf, trained: list[str]
) -> None:
    broken = plan.variants["rad"].model_copy(update={"change": ("model.block_length=5",)})
    variants = dict(plan.variants) | {"rad": broken}  # dcd keeps the length of 4, which does not fit
    request = AblationRequest((0,), 2, ("dcd", "dcd-same", "half"))
    out = tmp_path / "out"
    failures = harness_of(plan.model_copy(update={"variants": variants}), request, out).carry_out()
    assert [failure.variant for failure in failures] == ["dcd", "dcd-same"]
    assert "block_length" in failures[0].reason
    assert trained == ["ar", "rad", "dcd", "rad"]
    assert {line["variant"] for line in _lines(out)} == {"half"}
    assert "## Failed" in (out / "results.md").read_text()
    assert "Traceback" in (out / "failures.log").read_text()


@pytest.mark.slow
def test_a_checkpoint_made_elsewhere_takes_the_place_of_a_variant(
    plan: AblationPlan, tmp_path: Path, harness_of: HarnessOf, trained: list[str]
) -> None:
    made = harness_of(plan, AblationRequest((0,), 2, ("ar",)), tmp_path / "made")
    made.carry_out()
    assert [line["decoder"] for line in _lines(tmp_path / "made")] == ["next_token"]
    taken = Changes(taken={"ar": made.training[0].folder})
    request = AblationRequest((3, 4), 2, ("teacher",), taken)
    assert harness_of(plan, request, tmp_path / "out").carry_out() == []
    assert trained == ["ar", "rad", "rad"]
    lines = _lines(tmp_path / "out")
    assert [line["seed"] for line in lines if line["variant"] == "ar"] == [0]  # one run for all seeds
    assert {line["seed"] for line in lines if line["variant"] == "rad"} == {3, 4}
