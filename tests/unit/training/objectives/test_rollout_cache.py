"""Cached rollouts equal those of the teacher, in any batch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.one_update import loss_and_metrics
from support.small_model import EOS, make_model, prompt_inputs

from echo_node.model.report_generation import EchoForReportGeneration
from training.examples.collate import Batch
from training.objectives.dcd import DcdObjective, TargetSource, streamed_targets
from training.objectives.rollout_cache import RolloutCache, folder_name
from training.objectives.targets import Targets
from training.recipe import DcdRecipe, RadRecipe

RECIPE = DcdRecipe(teacher_threshold=0.9, max_new_tokens=32, top_k=5, cache=True)


def _batch(numbers: list[int]) -> Batch:
    prompts, pixels = prompt_inputs(3, 4, seed=1)
    nothing = torch.empty(4, 0, dtype=torch.long)
    whole = Batch(
        prompts, pixels.view(4, -1), torch.tensor([[1, 4, 4]] * 4), nothing, nothing.bool(), nothing
    )
    return replace(
        whole,
        prompt_NP=prompts[numbers],
        pixel_values=pixels.view(4, 16, -1)[numbers].flatten(0, 1),
        grid_thw=whole.grid_thw[numbers],
        index_N=torch.tensor(numbers),
    )


def _teacher() -> EchoForReportGeneration:
    model = make_model(4, seed=4)
    with torch.no_grad():
        model.lm_head.weight[EOS] *= 2
    return model


def _refuse(_parts: Sequence[Batch]) -> list[Targets]:
    pytest.fail("the teacher was asked again")


def _loss(student: EchoForReportGeneration, targets: TargetSource, batch: Batch) -> torch.Tensor:
    return loss_and_metrics(DcdObjective(student, targets, RECIPE, RadRecipe()), batch)[0].detach()


def test_kept_rollouts_give_the_loss_of_streamed_ones_without_the_teacher(tmp_path: Path) -> None:
    student = make_model(4)
    streamed = streamed_targets(student, _teacher(), RECIPE)
    expected = _loss(student, streamed, _batch([0, 1, 2, 3]))
    least = 4 - 9 % 4
    first = RolloutCache(streamed, tmp_path, EOS, least)
    torch.testing.assert_close(_loss(student, first, _batch([0, 1, 2, 3])), expected)
    again = RolloutCache(_refuse, tmp_path, EOS, least)
    torch.testing.assert_close(_loss(student, again, _batch([3, 1, 0, 2])), expected)
    for number in range(4):
        alone = _loss(student, streamed, _batch([number]))
        torch.testing.assert_close(_loss(student, again, _batch([number])), alone)


def test_an_interrupted_collection_goes_on(tmp_path: Path) -> None:
    student = make_model(4)
    streamed = streamed_targets(student, _teacher(), RECIPE)
    kept = RolloutCache(streamed, tmp_path, EOS, 3)
    kept([_batch([0, 1])])
    (tmp_path / "2.part").write_bytes(b"PK")  # killed while it wrote
    kept([_batch([1, 2])])
    RolloutCache(_refuse, tmp_path, EOS, 3)([_batch([0, 1, 2])])


@pytest.mark.parametrize(("at_once", "asked"), [(0, [1, 2, 1]), (2, [1, 2, 1]), (3, [3, 1]), (9, [4])])
def test_the_teacher_writes_about_several_parts_at_once(
    tmp_path: Path, at_once: int, asked: list[int]
) -> None:
    student = make_model(4)
    sizes: list[int] = []
    streamed = streamed_targets(student, _teacher(), RECIPE)

    def counted(parts: Sequence[Batch]) -> list[Targets]:
        sizes.extend(len(batch.prompt_NP) for batch in parts)
        return streamed(parts)

    parts = [_batch([2]), _batch([0, 3]), _batch([1])]
    kept = RolloutCache(counted, tmp_path, EOS, 3, at_once)(parts)
    assert sizes == asked
    for each, alone in zip(kept, streamed(parts), strict=True):
        assert torch.equal(each.response_NR[each.trained_NR], alone.response_NR[alone.trained_NR])
        torch.testing.assert_close(each.log_prob_MK, alone.log_prob_MK)


def test_other_teachers_data_and_settings_have_other_folders() -> None:
    names = {
        folder_name(teacher, RECIPE.model_copy(update=change), data)
        for teacher in ("a", "b")
        for data in ("x", "y")
        for change in ({}, {"teacher_threshold": 0.5}, {"top_k": 4}, {"max_new_tokens": 8})
    }
    assert len(names) == 16
    assert folder_name("a", RECIPE, "x") == folder_name("a", RECIPE.model_copy(update={"eos_weight": 2}), "x")
