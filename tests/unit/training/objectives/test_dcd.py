"""Rollouts and distillation."""

import pytest
import torch
from support.one_update import loss_and_metrics
from support.small_model import EOS, make_model, make_prompt

from echo_node.model.decoding.decoder import decode, decode_settings
from echo_node.model.report_generation import EchoForReportGeneration
from training.examples.collate import Batch
from training.objectives.dcd import DcdObjective, streamed_targets
from training.objectives.teacher import rewrite_text, roll_out, teacher_decoder
from training.recipe import DcdRecipe, RadRecipe

NO_LOOPS = torch.zeros(2, dtype=torch.bool)


@pytest.mark.parametrize("threshold", [0.2, 1.0])
def test_a_rollout_is_what_the_teacher_decodes(threshold: float) -> None:
    model = make_model(8, seed=2)
    prompt = make_prompt(model, 5, sequences=6)
    rollout = roll_out(model, prompt, teacher_decoder(model, threshold, 40))
    for row, decoded in enumerate(decode(model, prompt, decode_settings("multi_step", threshold, 40))):
        written = rollout.response_NR[row, : len(decoded.tokens)].tolist()
        assert tuple(written) == decoded.tokens
        assert bool(rollout.trained_NR[row].any()) == decoded.ended
        kept = rollout.log_prob_NRV[row, : len(decoded.tokens)].max(-1).values.exp()
        torch.testing.assert_close(kept, torch.tensor(decoded.probabilities))


def test_steps_count_from_one_within_each_block() -> None:
    model = make_model(8, seed=2)
    prompt = make_prompt(model, 2)  # P = 8
    rollout = roll_out(model, prompt, teacher_decoder(model, 1.0, 16))  # nothing reaches 1: one token a step
    assert rollout.step_NR[:, :8].sort(-1).values.tolist() == [list(range(1, 9))] * 2


def test_a_rollout_that_never_ends_is_discarded() -> None:
    model = make_model(8)
    with torch.no_grad():
        model.lm_head.weight[EOS] = 0
        model.lm_head.weight[10] *= 20
        model.lm_head.weight[11] = -model.lm_head.weight[10]
    rollout = roll_out(model, make_prompt(model, 3), teacher_decoder(model, 0.5, 40))
    assert EOS not in rollout.response_NR
    assert not rollout.trained_NR.any()
    assert rollout.looped_N.all()


@pytest.mark.parametrize("prompt_length", [3, 5])  # P = 9, 11: the prompt ends within a block of 8 or 4
@pytest.mark.parametrize("block_length", [4, 8])
def test_continuing_its_own_rollout_the_teacher_writes_it_again(
    block_length: int, prompt_length: int
) -> None:
    model = _teacher(block_length)
    prompt = make_prompt(model, prompt_length, sequences=6)
    own = roll_out(model, prompt, teacher_decoder(model, 0.9, 40))
    again = rewrite_text(model, prompt, own.response_NR, own.trained_NR, own.looped_N, 0.9)
    kept = own.trained_NR
    assert kept.any()
    assert torch.equal(again.prefix_NR, own.response_NR)
    assert torch.equal(again.response_NR[kept], own.response_NR[kept])
    assert torch.equal(again.step_NR[kept], own.step_NR[kept])
    torch.testing.assert_close(again.log_prob_NRV[kept], own.log_prob_NRV[kept], atol=1e-4, rtol=1e-4)


def test_a_block_goes_by_the_text_before_it_alone() -> None:
    model = make_model(4, seed=2)
    prompt = make_prompt(model, 2)
    text = torch.randint(12, 40, (2, 16), generator=torch.Generator().manual_seed(0))
    everywhere = torch.ones_like(text, dtype=torch.bool)
    before = rewrite_text(model, prompt, text, everywhere, NO_LOOPS, 0.5).response_NR
    text[:, 8:] = 13
    after = rewrite_text(model, prompt, text, everywhere, NO_LOOPS, 0.5).response_NR
    assert torch.equal(before[:, :12], after[:, :12])


def _batch(sequences: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    prompt = torch.tensor([[6, 5, 5, 5, 5, 7, 9, 10, 11]] * sequences)
    pixels = torch.randn((sequences * 16, 1176), generator=generator)
    nothing = torch.empty(sequences, 0, dtype=torch.long)
    return Batch(prompt, pixels, torch.tensor([[1, 4, 4]] * sequences), nothing, nothing.bool(), nothing)


def _objective(
    student: EchoForReportGeneration, teacher: EchoForReportGeneration, recipe: DcdRecipe
) -> DcdObjective:
    return DcdObjective(student, streamed_targets(student, teacher, recipe), recipe, RadRecipe())


def _teacher(block_length: int = 4) -> EchoForReportGeneration:
    """A model that ends every report within a few blocks."""
    model = make_model(block_length, seed=4)
    with torch.no_grad():
        model.lm_head.weight[EOS] *= 2
    return model


@pytest.mark.parametrize(
    ("divergence", "prefix", "updates"),
    [
        pytest.param("forward_kl", "teacher", 70, marks=pytest.mark.long),
        ("cross_entropy", "teacher", 70),
        # What is to be learned changes with what the student writes.
        pytest.param("cross_entropy", "student", 220, marks=pytest.mark.long),
    ],
)
def test_distilling_brings_the_student_s_one_step_to_the_teacher_s_text(
    divergence: str, prefix: str, updates: int
) -> None:
    teacher, student = _teacher(), _teacher()
    recipe = DcdRecipe(teacher_threshold=0.9, max_new_tokens=32, divergence=divergence, prefix=prefix)
    objective = _objective(student, teacher, recipe)
    batch = _batch(8)
    optimiser = torch.optim.Adam(student.parameters(), 3e-3)
    agreements = []
    for _ in range(updates):
        loss, metrics = loss_and_metrics(objective, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        agreements.append(metrics["agreement"])
    assert agreements[-1] > agreements[0] + 0.1
    assert agreements[-1] > 0.95


def test_the_teacher_is_left_alone() -> None:
    teacher, student = _teacher(), _teacher()
    before = teacher.lm_head.weight.clone()
    objective = _objective(student, teacher, DcdRecipe(max_new_tokens=32, rad_weight=0.5))
    loss, _ = loss_and_metrics(objective, _batch(4))
    loss.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert torch.equal(before, teacher.lm_head.weight)
    assert student.lm_head.weight.grad is not None
    assert bool(torch.isfinite(student.lm_head.weight.grad).all())


def test_what_repeats_itself_teaches_nothing() -> None:
    student, recipe = _teacher(), DcdRecipe(max_new_tokens=32, prefix="student")
    with torch.no_grad():
        student.lm_head.weight[EOS] = 0
        student.lm_head.weight[10] *= 40
        student.lm_head.weight[11] = -student.lm_head.weight[10]
    loss, metrics = loss_and_metrics(_objective(student, _teacher(), recipe), _batch(4))
    assert metrics["rollouts_looped"] == 1
    assert metrics["rollouts_ended"] == 0
    assert float(loss.detach()) == 0
    loss.backward()  # an update without any target is no defect
