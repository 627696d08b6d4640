"""Rollouts of the teacher, with its distribution for every token (ECHO, alg. 1).

The teacher either writes its own text, block after block, or rewrites all blocks of a text of the
student at once. In the second case the student learns to continue its own words.

Shapes: N examples, C columns of the response with the prompt's tail, R response in whole blocks, B
block, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

from echo_node.model.decoding.block_writer import BlockWriter
from echo_node.model.decoding.canvas import Decoded, DecodingStep, choose_commits_by_block, most_probable
from echo_node.model.decoding.decoder import Decoder, decode_settings
from echo_node.model.network import EchoNetwork, Prompt


@dataclass(frozen=True, slots=True)
class Rollout:
    """Rollouts of a batch.

    Attributes:
        prefix_NR: text whose earlier blocks the teacher saw when it wrote a block.
        response_NR: tokens that the teacher committed; equal to *prefix_NR* if that is its own
            text.
        log_prob_NRV: log distribution of each token, at the step that committed it.
        step_NR: step that committed each token, counted from 1 in each block.
        trained_NR: mask of the tokens up to the end of the block with the first EOS of the text. A
            rollout without an end is discarded: its mask is false everywhere.
        looped_N: mask of the rollouts that ended in a loop.
    """

    prefix_NR: Tensor
    response_NR: Tensor
    log_prob_NRV: Tensor
    step_NR: Tensor
    trained_NR: Tensor
    looped_N: Tensor


def looped(decoded: Sequence[Decoded]) -> Tensor:
    """Return the mask (N,) of responses that ended in a loop of repeated tokens."""
    return torch.tensor([response.ending == "loop" for response in decoded])


def teacher_decoder(teacher: EchoNetwork, threshold: float, max_new_tokens: int) -> Decoder:
    """Return a decoder that commits each token when the teacher is confident.

    Args:
        teacher: network that writes.
        threshold: minimum probability of a confident token.
        max_new_tokens: maximum length of a rollout, in tokens.
    """
    return Decoder(teacher, decode_settings("multi_step", threshold, max_new_tokens))


def roll_out(teacher: EchoNetwork, prompt: Prompt, writer: Decoder) -> Rollout:
    """Let the teacher write reports, and keep its conditional distributions.

    Args:
        teacher: network that writes.
        prompt: prompts of one length, embedded by the teacher.
        writer: decoder of the teacher (`teacher_decoder`), which uses the same memory for all
            batches.
    """
    length = teacher.config.block_length
    tail = prompt.length % length
    blocks = -(-(tail + writer.max_new_tokens) // length)
    shape = (len(prompt.length_N), blocks * length)
    log_prob_NCV = torch.zeros((*shape, teacher.config.text.vocab_size), device=prompt.embeds_NPD.device)
    step_NC = torch.zeros(shape, dtype=torch.long, device=prompt.embeds_NPD.device)

    def keep(step: DecodingStep) -> None:
        row_M, place_M = step.commit_NB.nonzero(as_tuple=True)
        column_M = step.column_NB[row_M, place_M]
        log_prob_NCV[row_M, column_M] = torch.log_softmax(step.logits_NBV[row_M, place_M].float(), -1)
        step_NC[row_M, column_M] = step.step_N[row_M]

    decoded = writer.write(prompt, keep)
    used = int(step_NC.any(0).nonzero().max()) + 1
    log_prob_NRV, step_NR = log_prob_NCV[:, tail:used], step_NC[:, tail:used]
    response_NR = log_prob_NRV.argmax(-1).masked_fill(step_NR == 0, teacher.config.mask)
    is_eos_NR = response_NR == teacher.config.end_of_sequence
    first_N = torch.where(is_eos_NR.any(1), is_eos_NR.int().argmax(1), -1)
    block_end_N = ((tail + first_N) // length + 1) * length - tail
    position_R = torch.arange(response_NR.shape[1], device=response_NR.device)
    trained_NR = (position_R[None] < block_end_N[:, None]) & (first_N >= 0)[:, None]
    looped_N = looped(decoded).to(trained_NR.device)
    return Rollout(response_NR, response_NR, log_prob_NRV, step_NR, trained_NR, looped_N)


@torch.no_grad()
def rewrite_text(
    teacher: EchoNetwork,
    prompt: Prompt,
    text_NR: Tensor,
    trained_NR: Tensor,
    looped_N: Tensor,
    threshold: float,
) -> Rollout:
    """Let the teacher rewrite each block of a text by confidence, given the text's earlier blocks.

    Blocks do not wait for each other. One forward pass runs the next step of all blocks, so that
    the number of passes is the number of steps of the slowest block.

    Args:
        teacher: network that writes.
        prompt: prompts of one length, embedded by the teacher.
        text_NR: token ids of the text.
        trained_NR: mask of the tokens that count, in whole blocks.
        looped_N: mask of the texts that end in a loop; they do not count.
        threshold: minimum probability with which the teacher commits a token.
    """
    length, mask = teacher.config.block_length, teacher.config.mask
    tail = prompt.length % length
    writer = BlockWriter(teacher, prompt, decode_settings("multi_step", threshold, text_NR.shape[1]))
    token_NC = F.pad(text_NR, (tail, 0))
    writer.load_response(token_NC)
    block_K = torch.arange(token_NC.shape[1] // length, device=token_NC.device)
    block_NK = block_K.expand(len(token_NC), -1)
    open_NC = writer.canvas.response_NC[:, : token_NC.shape[1]].clone()
    step_NC = torch.zeros_like(token_NC)
    log_prob_NCV = torch.zeros((*token_NC.shape, teacher.config.text.vocab_size), device=token_NC.device)
    while open_NC.any():
        step_NC += open_NC
        hidden_NACD = writer.noisy_hidden_states(block_NK, token_NC.masked_fill(open_NC, mask)[:, None])
        logits_NCV = teacher.lm_head(hidden_NACD[:, 0]).float()
        logits_NCV[..., mask] = -torch.inf
        best_NC, choice_NC = most_probable(logits_NCV)
        commit_NC = choose_commits_by_block(best_NC, open_NC, length, threshold)
        token_NC = torch.where(commit_NC, choice_NC, token_NC)
        log_prob_NCV[commit_NC] = torch.log_softmax(logits_NCV[commit_NC], -1)
        open_NC &= ~commit_NC
    kept_NR = trained_NR & ~looped_N[:, None]
    return Rollout(text_NR, token_NC[:, tail:], log_prob_NCV[:, tail:], step_NC[:, tail:], kept_NR, looped_N)
