"""The teacher's rollouts: what it wrote, and how probable everything was when it wrote it (ECHO, alg. 1).

Shapes: N examples, R response in whole blocks, B block, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from echo_node.model.decode import DecodeSettings, decode
from echo_node.model.vlm import EchoForReportGeneration, Prompt


@dataclass(frozen=True, slots=True)
class Rollout:
    """Rollouts of a batch.

    Attributes:
        response_NR: the tokens that the teacher committed.
        log_prob_NRV: its distribution at the step at which each was committed.
        step_NR: that step, counted from 1 in each block.
        trained_NR: true up to the end of the block that holds the first EOS; nowhere in a rollout
            that never ended (a repetition loop), which is thereby discarded.
    """

    response_NR: Tensor
    log_prob_NRV: Tensor
    step_NR: Tensor
    trained_NR: Tensor


def roll_out(
    teacher: EchoForReportGeneration, prompt: Prompt, threshold: float, max_new_tokens: int
) -> Rollout:
    """Let the teacher write reports by confidence and keep its conditional distributions."""
    length = teacher.config.block_length
    log_probs: dict[int, Tensor] = {}
    steps: dict[int, Tensor] = {}

    def keep(at: int, commit_NB: Tensor, logits_NBV: Tensor, step: int) -> None:
        log_prob_NBV = torch.log_softmax(logits_NBV.float(), -1)
        if step == 1:
            log_probs[at], steps[at] = log_prob_NBV, torch.ones_like(commit_NB, dtype=torch.long)
        else:
            log_probs[at] = torch.where(commit_NB[..., None], log_prob_NBV, log_probs[at])
            steps[at] = steps[at].masked_fill(commit_NB, step)

    decode(teacher, prompt, DecodeSettings(threshold, max_new_tokens), keep)
    tail = prompt.length % length
    order = sorted(log_probs)
    log_prob_NRV = torch.cat([log_probs[at] for at in order], 1)[:, tail:].clone()
    step_NR = torch.cat([steps[at] for at in order], 1)[:, tail:].clone()
    response_NR = log_prob_NRV.argmax(-1)
    is_eos_NR = response_NR == teacher.config.end_of_sequence
    first_N = torch.where(is_eos_NR.any(1), is_eos_NR.int().argmax(1), -1)
    block_end_N = ((tail + first_N) // length + 1) * length - tail
    position_R = torch.arange(response_NR.shape[1], device=response_NR.device)
    trained_NR = (position_R[None] < block_end_N[:, None]) & (first_N >= 0)[:, None]
    return Rollout(response_NR, log_prob_NRV, step_NR, trained_NR)
