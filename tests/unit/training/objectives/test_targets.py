"""Divergences from a teacher's distributions."""

import pytest
import torch

from training.objectives.targets import Targets, divergence, make_targets
from training.objectives.teacher import Rollout
from training.recipe import Divergence

V, MASK = 40, 3


def _targets(log_prob: torch.Tensor, top_k: int = 0) -> Targets:
    """Targets of one example with a token per row of *log_prob*; the last one is untrained."""
    label = log_prob.argmax(-1)[None]
    trained = torch.ones_like(label, dtype=torch.bool)
    trained[0, -1] = False
    steps = torch.ones_like(label)
    return make_targets(Rollout(label, label, log_prob[None], steps, trained, trained.any(1)), top_k)


def _logits(seed: int) -> torch.Tensor:
    logits = 2 * torch.randn(6, V, generator=torch.Generator().manual_seed(seed))
    logits[:, MASK] = -torch.inf
    return logits


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl"])
@pytest.mark.parametrize("top_k", [0, 5])
def test_a_divergence_is_zero_where_the_distributions_are_equal_and_positive_elsewhere(
    kind: Divergence, top_k: int
) -> None:
    targets = _targets(_logits(0).log_softmax(-1), top_k)
    same = divergence(kind, _logits(0)[:-1], targets)
    torch.testing.assert_close(same, torch.zeros(5), atol=1e-5, rtol=0)
    assert bool((divergence(kind, _logits(1)[:-1], targets) > 0.01).all())


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl"])
def test_the_divergences_are_those_of_the_textbook(kind: Divergence) -> None:
    teacher, student = _logits(0).log_softmax(-1)[:-1], _logits(1).log_softmax(-1)[:-1]
    known = [v for v in range(V) if v != MASK]
    p, q = (teacher, student) if kind == "forward_kl" else (student, teacher)
    expected = (p.exp() * (p - q))[:, known].sum(-1)
    found = divergence(kind, _logits(1)[:-1], _targets(_logits(0).log_softmax(-1)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl"])
def test_counting_improbable_tokens_as_one_never_gives_more(kind: Divergence) -> None:
    teacher = _logits(0).log_softmax(-1)
    whole = divergence(kind, _logits(1)[:-1], _targets(teacher))
    coarse = [divergence(kind, _logits(1)[:-1], _targets(teacher, k)) for k in (3, 10, 39)]
    for less, more in zip(coarse, [*coarse[1:], whole], strict=True):
        assert bool((less <= more + 1e-5).all())
    torch.testing.assert_close(coarse[-1], whole, atol=1e-4, rtol=1e-4)


def test_cross_entropy_takes_the_committed_tokens() -> None:
    targets = _targets(_logits(0).log_softmax(-1))
    found = divergence("cross_entropy", _logits(1)[:-1], targets)
    expected = -_logits(1)[:-1].log_softmax(-1)[torch.arange(5), _logits(0)[:-1].argmax(-1)]
    torch.testing.assert_close(found, expected)
