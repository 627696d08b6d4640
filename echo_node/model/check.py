"""Check and repair of a whole draft, in parallel (after the blocks have been written one after another).

Shapes: N sequences, C columns of the response, K blocks of a row that are looked at, B block length,
X = K * B tokens, D model width, V vocabulary.

One-step decoding chooses the tokens of a block independently of each other, so that a block can mix two
wordings. The check asks how probable each token is given the earlier blocks AND the other half of its own:
two noisy copies of the draft, the even columns masked in one and the odd ones in the other, one forward. A
block of which nothing was in doubt when it was written is not asked: its wording was all but certain.
Repair masks the improbable tokens anew and denoises all their blocks at once by confidence, each on the
clean blocks before it as they were first written. The network is its own judge: a block is replaced only by
one that the check finds likelier.
"""

from __future__ import annotations

import torch
from torch import Tensor

from echo_node.model.block_writer import BlockWriter
from echo_node.model.canvas import DecodeSettings, most_probable, reached_by_block

_CERTAIN = 0.99  # a block of tokens that were all committed with this probability is not asked
_LEAST = 1e-9  # a token that is less probable counts as this


def check(writer: BlockWriter) -> None:
    """Replace tokens' probabilities by those that they have beside the rest of their block; one forward."""
    canvas = writer.canvas
    chosen = _choose(writer, canvas.is_text & (canvas.probability_NC < _CERTAIN))
    if chosen is None:
        return
    block_NK, wanted_NK = chosen
    column_NX = writer.columns(block_NK)
    checked_NX = _beside_the_rest(writer, block_NK, canvas.token_NC.gather(1, column_NX))
    was_NX = canvas.probability_NC.gather(1, column_NX)
    asked_NX = wanted_NK.repeat_interleave(canvas.block_length, 1)
    canvas.probability_NC.scatter_(1, column_NX, torch.where(asked_NX, checked_NX, was_NX))
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
        logits_NXV = _logits(writer, writer.noisy_hidden_states(block_NK, noisy_NX[:, None])[:, 0])
        logits_NXV[..., eos] = -torch.inf
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
    is_odd_NX = writer.columns(block_NK) % 2 == 1
    mask = writer.model.config.mask
    copies = [token_NX.masked_fill(~is_odd_NX, mask), token_NX.masked_fill(is_odd_NX, mask)]
    hidden_NAXD = writer.noisy_hidden_states(block_NK, torch.stack(copies, 1))
    hidden_NXD = torch.where(is_odd_NX[..., None], hidden_NAXD[:, 1], hidden_NAXD[:, 0])
    log_prob_NXV = torch.log_softmax(_logits(writer, hidden_NXD), -1)
    return log_prob_NXV.gather(2, token_NX[..., None])[..., 0].exp()


def _logits(writer: BlockWriter, hidden_NXD: Tensor) -> Tensor:
    logits_NXV: Tensor = writer.model.lm_head(hidden_NXD).float()
    logits_NXV[..., writer.model.config.mask] = -torch.inf
    return logits_NXV
