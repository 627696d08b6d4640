"""Variants become training runs: what is the same has one folder, what differs has another."""

from pathlib import Path

import pytest

from echo_node.errors import ConfigError
from training.ablations.plan import PAPER, AblationPlan, load_plan
from training.ablations.runs import Changes, Runs, in_order
from training.recipe import load_recipe


def _keys(
    plan: AblationPlan, out: Path, *names: str, seed: int = 1, changes: Changes | None = None
) -> list[str]:
    runs = Runs(plan, changes or Changes(), out)
    return [runs.of(name, seed).key for name in names]


def test_a_chain_starts_each_stage_from_the_one_before(plan: AblationPlan, tmp_path: Path) -> None:
    end = Runs(plan, Changes(), tmp_path).of("dcd", 1)
    assert [run.stage for run in end.chain] == ["ar", "rad", "dcd"]
    assert end.parent is not None
    assert f'model.start="{end.parent.folder}"' in end.overrides
    assert [run.seed for run in end.chain] == [0, 1, 1]


def test_variants_that_come_to_the_same_share_their_run(plan: AblationPlan, tmp_path: Path) -> None:
    dcd, same, other = _keys(plan, tmp_path, "dcd", "dcd-same", "dcd-no-eos-term")
    assert dcd == same != other
    runs = Runs(plan, Changes(), tmp_path)
    ends = [runs.of(name, seed) for seed in (1, 2) for name in ("dcd", "dcd-same", "dcd-no-eos-term")]
    assert [run.stage for run in in_order(ends)] == ["ar", "rad", "dcd", "dcd", "rad", "dcd", "dcd"]


def test_whatever_changes_an_ancestor_changes_its_descendants(plan: AblationPlan, tmp_path: Path) -> None:
    before = _keys(plan, tmp_path, "ar", "rad", "dcd")
    after = _keys(plan, tmp_path, "ar", "rad", "dcd", changes=Changes(steps={"rad": 2}))
    assert after[0] == before[0]
    assert after[1:] != before[1:]
    assert after[2] != before[2]


def test_the_machine_and_the_folder_change_nothing(plan: AblationPlan, tmp_path: Path) -> None:
    slower = Changes(overrides=("hardware.micro_batch=1",))
    assert _keys(plan, tmp_path, "dcd") == _keys(plan, tmp_path / "other", "dcd", changes=slower)


def test_a_variant_stays_what_it_is_whatever_is_set_for_all(plan: AblationPlan, tmp_path: Path) -> None:
    runs = Runs(plan, Changes(overrides=("dcd.eos_weight=2", "data.count=10")), tmp_path)
    eos = [each for each in runs.of("dcd-no-eos-term", 0).overrides if "eos" in each]
    assert eos == ["dcd.eos_weight=2", "dcd.eos_weight=0"]  # the last one counts
    assert "data.count=5" in runs.of("half", 0).overrides


def test_a_checkpoint_that_is_not_there_cannot_be_taken(plan: AblationPlan, tmp_path: Path) -> None:
    runs = Runs(plan, Changes(taken={"ar": tmp_path / "none"}), tmp_path)
    with pytest.raises(ConfigError, match="no checkpoint of a training run"):
        runs.of("rad", 0)


def test_phantoms_of_the_measurement_are_not_trained_on(plan: AblationPlan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="which is held out"):
        Runs(plan, Changes(overrides=("data.seed=7",)), tmp_path).of("ar", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('after = "ar"', 'after = "none"'), "cannot come after 'none'"),
        (('after = "ar"', 'after = "dcd"'), "cannot come after"),
        (('like = "dcd"', 'like = "none"'), "like 'none', which must be a variant with a recipe"),
        (('like = "dcd"', 'like = "half"'), "like 'half', which must be a variant with a recipe"),
        (('like = "dcd"', ""), "needs a recipe, or another variant in 'like'"),
        (('"one_step", "adaptive"', '"two_step"'), "there is no variant or decoder 'two_step'"),
        (("seed = 0", "sed = 0"), "variants.ar.sed"),
        (("[[claims]]", "[[claims"), "not TOML"),
    ],
)
def test_a_wrong_plan_is_refused(
    change: tuple[str, str], message: str, plan: AblationPlan, tmp_path: Path
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(ConfigError, match=message):
        load_plan(path)


def test_every_variant_of_the_paper_can_be_laid_out(tmp_path: Path) -> None:
    paper = load_plan(PAPER)
    runs = Runs(paper, Changes(), tmp_path)
    ends = [runs.of(name, seed) for seed in (0, 1) for name in paper.variants]
    stages = [run.stage for run in in_order(ends)]
    assert [stages.count(stage) for stage in ("vision", "ar", "rad", "dcd")] == [1, 2, 12, 18]
    tower, words = runs.of("sight", 0), runs.of("ar", 1)
    assert f'model.start_vision="{tower.folder}"' in words.overrides
    teacher = runs.of("rad", 1)
    assert f'model.start="{words.folder}"' in teacher.overrides
    assert f'model.start="{teacher.folder}"' in runs.of("rad-block-4", 1).overrides
    assert set(paper.wanted([])) == set(paper.variants) - {"sight"}
    assert paper.wanted(["data", "dcd"]) == [
        "ar",
        "rad-5-percent",
        "rad-20-percent",
        "rad-50-percent",
        "rad",
        "dcd",
    ]
    with pytest.raises(ConfigError, match="neither a claim nor a variant"):
        paper.wanted(["nothing"])


def test_only_one_student_of_the_paper_has_the_rad_loss_mixed_in(tmp_path: Path) -> None:
    paper = load_plan(PAPER)
    runs = Runs(paper, Changes(), tmp_path)
    ends = {name: runs.of(name, 0) for name in paper.variants if name.startswith("dcd")}
    recipes = {name: load_recipe(end.recipe, list(end.overrides)) for name, end in ends.items()}
    assert [name for name, recipe in recipes.items() if recipe.dcd.rad_weight] == ["dcd-rad-mixed-in"]
