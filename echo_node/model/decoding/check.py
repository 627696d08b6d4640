"""Check and repair of drafts, after all blocks have been written.

One-step decoding chooses the tokens of a block independently, so that a block can mix two wordings.
The check computes the probability of each token given the earlier blocks and the other half of its
own block (`half_masked`). It skips blocks in which no token was in doubt when it was written, since
their wording was almost certain. Most other blocks were checked while the next block was written
(`block_writer`), so that usually only the last one remains.

Repair masks the improbable tokens again and denoises all their blocks at once by confidence. Each
block sees the earlier blocks as they were first written. The network judges the result: the new
version of a block is kept only if the check finds it more probable.

Shapes: N sequences, C columns of the response, K checked blocks of a row, B block length, X = K * B
tokens, A = 2 half-masked copies, D model width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from echo_node.model.decoding.block_writer import BlockWriter
from echo_node.model.decoding.canvas import DecodeSettings, choose_commits_by_block, most_probable
from echo_node.model.decoding.half_masked import half_masked, probability_of, where_masked

_FLOOR = 1e-9  # lower bound of probabilities, before the logarithm


def check(writer: BlockWriter) -> None:
    """Check all blocks in doubt that have not been checked yet, in one forward pass."""
    canvas = writer.canvas
    chosen = _blocks_with(writer, canvas.is_in_doubt)
    if chosen is None:
        return
    block_NK, wanted_NK = chosen
    column_NX = writer.columns(block_NK)
    found_NX = _checked_probability(writer, block_NK, canvas.token_NC.gather(1, column_NX))
    canvas.record_check(column_NX, wanted_NK.repeat_interleave(canvas.block_length, 1), found_NX)
    canvas.forwards_N += wanted_NK.any(1)


def repair(writer: BlockWriter, settings: DecodeSettings) -> None:
    """Rewrite tokens that the check found improbable; keep the blocks that became more probable.

    The probabilities become those of the check. The end of sequence and everything after it stay
    unchanged.
    """
    canvas, eos = writer.canvas, writer.model.config.end_of_sequence
    open_NC = (canvas.probability_NC < settings.improbable) & canvas.is_text & (canvas.token_NC != eos)
    chosen = _blocks_with(writer, open_NC)
    if chosen is None:
        return
    block_NK, wanted_NK = chosen
    column_NX = writer.columns(block_NK)
    before_NX, was_NX = canvas.token_NC.gather(1, column_NX), canvas.probability_NC.gather(1, column_NX)
    token_NX, open_NX = before_NX, open_NC.gather(1, column_NX)
    while open_NX.any():
        noisy_NX = token_NX.masked_fill(open_NX, writer.model.config.mask)
        hidden_NXD = writer.noisy_hidden_states(block_NK, noisy_NX[:, None])[:, 0]
        logits_NXV = writer.model.lm_head(hidden_NXD).float()
        logits_NXV[..., [eos, writer.model.config.mask]] = -torch.inf
        best_NX, choice_NX = most_probable(logits_NXV)
        commit_NX = choose_commits_by_block(
            best_NX, open_NX, canvas.block_length, settings.confidence_threshold
        )
        canvas.forwards_N += open_NX.any(1)
        token_NX = torch.where(commit_NX, choice_NX, token_NX)
        open_NX = open_NX & ~commit_NX
    is_NX = _checked_probability(writer, block_NK, token_NX)
    canvas.forwards_N += wanted_NK.any(1)
    is_text_NX = canvas.is_text.gather(1, column_NX)
    gain_NX = (is_NX.clamp(min=_FLOOR).log() - was_NX.clamp(min=_FLOOR).log()).masked_fill(~is_text_NX, 0.0)
    likelier_NK = wanted_NK & (gain_NX.view(*block_NK.shape, -1).sum(-1) > 0)
    kept_NX = likelier_NK.repeat_interleave(canvas.block_length, 1)
    canvas.token_NC.scatter_(1, column_NX, torch.where(kept_NX, token_NX, before_NX))
    canvas.probability_NC.scatter_(1, column_NX, torch.where(kept_NX, is_NX, was_NX))


def _blocks_with(writer: BlockWriter, wanted_NC: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the blocks (N, K) with a wanted column; None if no column is wanted.

    K is the largest number of such blocks in any row. Rows with fewer are filled up with other
    blocks. The second result is the mask (N, K) of the blocks that do have a wanted column.
    """
    wanted_NK = wanted_NC.view(len(wanted_NC), -1, writer.canvas.block_length).any(-1)
    count = int(wanted_NK.sum(1).max())
    if not count:
        return None
    wanted, block_NK = wanted_NK.int().topk(count, 1)
    return block_NK, wanted.bool()


def _checked_probability(writer: BlockWriter, block_NK: Tensor, token_NX: Tensor) -> Tensor:
    """Return the probability (N, X) of each token given the other half of its block.

    This takes one forward pass.
    """
    column_NX, mask = writer.columns(block_NK), writer.model.config.mask
    hidden_NAXD = writer.noisy_hidden_states(block_NK, half_masked(column_NX, token_NX, mask))
    return probability_of(token_NX, writer.model.lm_head(where_masked(column_NX, hidden_NAXD)), mask)
