"""The teacher's rollouts: what it wrote, and how probable everything was when it wrote it (ECHO, alg. 1).

Shapes: N examples, R response in whole blocks, B block, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from echo_node.model.canvas import Step
from echo_node.model.decode import decode, settings_of
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
    tail = prompt.length % length
    blocks = -(-(tail + max_new_tokens) // length)
    shape = (len(prompt.length_N), blocks * length)
    log_prob_NCV = torch.zeros((*shape, teacher.config.text.vocab_size), device=prompt.embeds_NPD.device)
    step_NC = torch.zeros(shape, dtype=torch.long, device=prompt.embeds_NPD.device)

    def keep(step: Step) -> None:
        row_M, place_M = step.commit_NB.nonzero(as_tuple=True)
        column_M = step.column_NB[row_M, place_M]
        log_prob_NCV[row_M, column_M] = torch.log_softmax(step.logits_NBV[row_M, place_M].float(), -1)
        step_NC[row_M, column_M] = step.step_N[row_M]

    decode(teacher, prompt, settings_of("multi_step", threshold, max_new_tokens), keep)
    used = int(step_NC.any(0).nonzero().max()) + 1
    log_prob_NRV, step_NR = log_prob_NCV[:, tail:used], step_NC[:, tail:used]
    response_NR = log_prob_NRV.argmax(-1).masked_fill(step_NR == 0, teacher.config.mask)
    is_eos_NR = response_NR == teacher.config.end_of_sequence
    first_N = torch.where(is_eos_NR.any(1), is_eos_NR.int().argmax(1), -1)
    block_end_N = ((tail + first_N) // length + 1) * length - tail
    position_R = torch.arange(response_NR.shape[1], device=response_NR.device)
    trained_NR = (position_R[None] < block_end_N[:, None]) & (first_N >= 0)[:, None]
    return Rollout(response_NR, log_prob_NRV, step_NR, trained_NR)
