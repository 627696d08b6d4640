"""What check and repair do when all blocks of a draft have been written.

Shapes: N sequences, C columns of the response, K blocks of a row that are looked at, B block length,
X = K * B tokens, D model width, V vocabulary.

One-step decoding chooses the tokens of a block independently of each other, so that a block can mix two
wordings. The check asks how probable each token is given the earlier blocks AND the other half of its own
(`halves`). A block of which nothing was in doubt when it was written is not asked: its wording was all but
certain. Most others were asked while the next one was written (`block_writer`); what is left is the last.
Repair masks the improbable tokens anew and denoises all their blocks at once by confidence, each on the
clean blocks before it as they were first written. The network is its own judge: a block is replaced only by
one that the check finds likelier.
"""

from __future__ import annotations

import torch
from torch import Tensor

from echo_node.model.decoding.block_writer import BlockWriter
from echo_node.model.decoding.canvas import DecodeSettings, most_probable, reached_by_block
from echo_node.model.decoding.half_masked import half_masked, probability_of, where_masked

_LEAST = 1e-9  # a token that is less probable counts as this


def check(writer: BlockWriter) -> None:
    """Ask the blocks in doubt that have not been asked: all in one forward."""
    canvas = writer.canvas
    chosen = _choose(writer, canvas.is_in_doubt)
    if chosen is None:
        return
    block_NK, wanted_NK = chosen
    column_NX = writer.columns(block_NK)
    found_NX = _beside_the_rest(writer, block_NK, canvas.token_NC.gather(1, column_NX))
    canvas.take_check(column_NX, wanted_NK.repeat_interleave(canvas.block_length, 1), found_NX)
    canvas.forwards_N += wanted_NK.any(1)


def repair(writer: BlockWriter, settings: DecodeSettings) -> None:
    """Write anew what the check found improbable, and keep the blocks that it now finds likelier.

    The probabilities become those of the check. The end of sequence stays where it is, and what stands behind
    it is left alone.
    """
    canvas, eos = writer.canvas, writer.model.config.end_of_sequence
    open_NC = (canvas.probability_NC < settings.improbable) & canvas.is_text & (canvas.token_NC != eos)
    chosen = _choose(writer, open_NC)
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
        commit_NX = reached_by_block(best_NX, open_NX, canvas.block_length, settings.confidence_threshold)
        canvas.forwards_N += open_NX.any(1)
        token_NX = torch.where(commit_NX, choice_NX, token_NX)
        open_NX = open_NX & ~commit_NX
    is_NX = _beside_the_rest(writer, block_NK, token_NX)
    canvas.forwards_N += wanted_NK.any(1)
    is_text_NX = canvas.is_text.gather(1, column_NX)
    gain_NX = (is_NX.clamp(min=_LEAST).log() - was_NX.clamp(min=_LEAST).log()).masked_fill(~is_text_NX, 0.0)
    likelier_NK = wanted_NK & (gain_NX.view(*block_NK.shape, -1).sum(-1) > 0)
    kept_NX = likelier_NK.repeat_interleave(canvas.block_length, 1)
    canvas.token_NC.scatter_(1, column_NX, torch.where(kept_NX, token_NX, before_NX))
    canvas.probability_NC.scatter_(1, column_NX, torch.where(kept_NX, is_NX, was_NX))


def _choose(writer: BlockWriter, wanted_NC: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return blocks (N, K) among which are all that hold a wanted column, and which of them do; or None.

    K is the most that any row has; a row with fewer gets some of its others in addition.
    """
    wanted_NK = wanted_NC.view(len(wanted_NC), -1, writer.canvas.block_length).any(-1)
    most = int(wanted_NK.sum(1).max())
    if not most:
        return None
    wanted, block_NK = wanted_NK.int().topk(most, 1)
    return block_NK, wanted.bool()


def _beside_the_rest(writer: BlockWriter, block_NK: Tensor, token_NX: Tensor) -> Tensor:
    """Return how probable (N, X) each token is given the other half of its block; one forward."""
    column_NX, mask = writer.columns(block_NK), writer.model.config.mask
    hidden_NAXD = writer.noisy_hidden_states(block_NK, half_masked(column_NX, token_NX, mask))
    return probability_of(token_NX, writer.model.lm_head(where_masked(column_NX, hidden_NAXD)), mask)
