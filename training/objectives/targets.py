"""Targets of DCD: the tokens that a teacher committed, and its distributions.

For a large vocabulary, only the probabilities of the most probable tokens are kept, and all others
count as one outcome. The divergence over these K + 1 outcomes is never larger than that over all V
tokens, and it is zero if the distributions are equal.

Shapes: N examples, R response, M trained tokens of the batch, V vocabulary, K kept tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

from training.objectives.teacher import Rollout
from training.recipe import Divergence

_MIN_LOG_PROB = -1e4  # finite, so that 0 * log 0 is 0: the mask token has probability 0


@dataclass(frozen=True, slots=True)
class Targets:
    """Rollouts of a batch, in the form to which the student is fitted.

    Attributes:
        prefix_NR: text whose earlier blocks the teacher saw when it wrote a block.
        response_NR: tokens that the teacher committed.
        step_NR: step of the block at which each token was committed.
        trained_NR: mask of the tokens that the student is fitted to.
        looped_N: mask of the rollouts that were dropped because of a loop.
        log_prob_MK: log probabilities of the teacher, for the whole vocabulary or the kept tokens.
        token_MK: ids of the kept tokens; None for the whole vocabulary.
    """

    prefix_NR: Tensor
    response_NR: Tensor
    step_NR: Tensor
    trained_NR: Tensor
    looped_N: Tensor
    log_prob_MK: Tensor
    token_MK: Tensor | None


def make_targets(rollout: Rollout, top_k: int) -> Targets:
    """Return the targets of a rollout; *top_k* = 0 keeps the probability of every token."""
    trained_NR = rollout.trained_NR
    log_prob_MK, token_MK = rollout.log_prob_NRV[trained_NR], None
    if 0 < top_k < log_prob_MK.shape[1]:
        log_prob_MK, token_MK = log_prob_MK.topk(top_k, -1)
    return Targets(
        rollout.prefix_NR,
        rollout.response_NR,
        rollout.step_NR,
        trained_NR,
        rollout.looped_N,
        log_prob_MK,
        token_MK,
    )


def divergence(kind: Divergence, logits_MV: Tensor, targets: Targets) -> Tensor:
    """Return the divergence (M,) between teacher and student, for each trained token.

    Args:
        kind: forward KL(teacher | student), reverse KL(student | teacher), or the cross-entropy of
            the token that the teacher committed.
        logits_MV: logits of the student.
        targets: targets of the teacher.
    """
    if kind == "cross_entropy":
        label_M = targets.response_NR[targets.trained_NR]
        return F.cross_entropy(logits_MV, label_M, reduction="none")
    student_MK = F.log_softmax(logits_MV, -1)
    teacher_MK = targets.log_prob_MK
    if targets.token_MK is not None:
        student_MK = _with_other_tokens(student_MK.gather(1, targets.token_MK))
        teacher_MK = _with_other_tokens(teacher_MK)
    student_MK, teacher_MK = student_MK.clamp(min=_MIN_LOG_PROB), teacher_MK.clamp(min=_MIN_LOG_PROB)
    if kind == "reverse_kl":
        return (student_MK.exp() * (student_MK - teacher_MK)).sum(-1)
    return (teacher_MK.exp() * (teacher_MK - student_MK)).sum(-1)


def _with_other_tokens(log_prob_MK: Tensor) -> Tensor:
    """Append the log probability of all other tokens, as a single outcome."""
    rest_M1 = -torch.expm1(log_prob_MK.logsumexp(-1, keepdim=True))
    return torch.cat([log_prob_MK, rest_M1.clamp(min=1e-7).log()], -1)
