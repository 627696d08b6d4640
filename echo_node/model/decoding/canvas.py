"""Canvas of a decoding: the tokens written so far and the current block of every sequence.

Column c of a row is at the absolute position `start + c`, where `start` is the first position of
the block in which the row's prompt ends. The first columns may therefore be the prompt's tail. Each
row advances independently of the others.

All state stays on the device, and `commit` changes it in place, so that a step can be recorded as a
CUDA graph. Only `finished` and `results` copy anything to the host.

Shapes: N sequences, C columns of the response, B block, L tokens per forward pass, W tokens of the
loop detection, P candidate periods of a loop, X tokens of some columns, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from echo_node.model.network import EchoNetwork, Prompt

Ending = Literal["eos", "length", "loop"]
Check = Literal["off", "mark", "repair"]
_ENDINGS: tuple[Ending, ...] = ("eos", "length", "loop")  # 1, 2, 3 in `_ending_N`; 0: not ended

_LONGEST_PERIOD = 32
_REPEATS = 3
_LEAST_LOOP = 24
_CERTAIN = 0.99  # the check skips a block if all its tokens were committed with this probability


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """Settings of a decoding.

    Attributes:
        confidence_threshold: probability from which a step commits a token; if no token of the
            block reaches it, the step commits the most probable one.
        most_steps: maximum number of steps per block; the last one commits every open token. 0 sets
            no limit.
        max_new_tokens: maximum length of a response, rounded up to whole blocks.
        schedule: schedule of the forward passes. `fused`: one pass carries the finished block and
            the current one. `unfused`: a finished block takes a separate pass. `next_token`: blocks
            are single tokens, predicted at the previous token (an autoregressive model).
        check: `mark` computes the probabilities of the tokens in doubtful blocks again, each given
            the other half of its block. `repair` also rewrites improbable tokens when the draft is
            finished. `off` does neither.
        improbable: probability below which `repair` rewrites a token.
        forced_length: whether to write up to the maximum length regardless of the tokens, for
            benchmarks.
    """

    confidence_threshold: float
    most_steps: int
    max_new_tokens: int
    schedule: Literal["fused", "unfused", "next_token"] = "fused"
    check: Check = "off"
    improbable: float = 0.05
    forced_length: bool = False


@dataclass(frozen=True, slots=True)
class DecodingStep:
    """Result of one forward pass.

    Attributes:
        column_NB: columns of the current block.
        token_NB: tokens of the block after this step; open positions have the mask token.
        commit_NB: mask of the tokens that this step committed.
        logits_NBV: logits from which these tokens were chosen.
        step_N: number of the step within the block, from 1.
    """

    column_NB: Tensor
    token_NB: Tensor
    commit_NB: Tensor
    logits_NBV: Tensor
    step_N: Tensor


@dataclass(frozen=True, slots=True)
class Decoded:
    """One response.

    Attributes:
        tokens: token ids up to the end of sequence, without it.
        probabilities: probability of each token when it was committed, or according to the check.
        ending: why the response ended: end of sequence, length limit, or loop of repeated tokens.
        forwards: forward passes of the language model after the prefill.
    """

    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]
    ending: Ending
    forwards: int

    @property
    def ended(self) -> bool:
        """Whether the response ended with the end of sequence."""
        return self.ending == "eos"

    @property
    def written(self) -> int:
        """Number of tokens written, up to and including the end of sequence."""
        return len(self.tokens) + int(self.ended)


class Canvas:
    """The unfinished responses of a batch."""

    def __init__(self, model: EchoNetwork, prompt: Prompt, settings: DecodeSettings) -> None:
        """Allocate the responses to the prompts in *prompt*; call `begin` before writing."""
        self._settings, self._prompt = settings, prompt
        one_by_one = settings.schedule == "next_token"
        self.block_length = 1 if one_by_one else model.config.block_length
        self._eos_id = model.config.end_of_sequence
        self._mask_id = self._eos_id if one_by_one else model.config.mask
        longest_tail = self.block_length - 1
        blocks = (longest_tail + settings.max_new_tokens - 1) // self.block_length + 1
        shape, device = (len(prompt.length_N), blocks * self.block_length), prompt.embeds_NPD.device
        self._column_C = torch.arange(shape[1], device=device)
        self.response_NC = torch.empty(shape, dtype=torch.bool, device=device)
        self._open_NC = torch.empty_like(self.response_NC)
        self.token_NC = torch.empty(shape, dtype=torch.long, device=device)
        self.probability_NC = torch.empty(shape, device=device)
        self._asked_NC = torch.empty_like(self.response_NC)
        self.start_N = torch.empty_like(prompt.length_N)
        self._last_N = torch.empty_like(self.start_N)
        self._block_N = torch.empty_like(self.start_N)
        self._step_N = torch.empty_like(self.start_N)
        self._ending_N = torch.empty_like(self.start_N)
        self.forwards_N = torch.empty_like(self.start_N)
        lead = 0 if settings.schedule == "unfused" else self.block_length
        width = self.block_length if settings.schedule != "fused" else 2 * self.block_length
        self._window_L = torch.arange(width, device=device) - lead
        self._period_P1 = torch.arange(1, _LONGEST_PERIOD + 1, device=device)[:, None]
        looked_at = torch.arange(_REPEATS * _LONGEST_PERIOD, device=device)
        self._looked_at_W = looked_at - len(looked_at)

    def begin(self) -> None:
        """Reset all state, for the current content of the prompts given to the constructor."""
        self.start_N.copy_(self._prompt.length_N // self.block_length * self.block_length)
        tail_N = self._prompt.length_N - self.start_N
        self._last_N.copy_((tail_N + self._settings.max_new_tokens - 1) // self.block_length)
        self.response_NC.copy_(self._column_C >= tail_N[:, None])
        self._open_NC.copy_(self.response_NC)
        self.token_NC.fill_(self._mask_id)
        self.probability_NC.fill_(1.0)
        self._asked_NC.fill_(value=False)
        for state_N in (self._block_N, self._step_N, self._ending_N, self.forwards_N):
            state_N.zero_()

    @property
    def finished(self) -> bool:
        """Whether every row has ended; this copies one byte to the host."""
        return bool(self._ending_N.all())

    @property
    def is_text(self) -> Tensor:
        """Mask (N, C) of the written tokens up to and including the end of sequence."""
        written_NC = self.response_NC & ~self._open_NC
        if self._settings.forced_length:
            return written_NC
        is_eos_NC = (self.token_NC == self._eos_id) & written_NC
        behind_NC = is_eos_NC.cumsum(1) - is_eos_NC.long() > 0
        return written_NC & ~behind_NC

    @property
    def is_in_doubt(self) -> Tensor:
        """Mask (N, C) of unchecked tokens that were not certain when written."""
        return self.is_text & (self.probability_NC < _CERTAIN) & ~self._asked_NC

    def finished_is_in_doubt(self) -> Tensor:
        """Return the mask (N, 1) of unfinished rows whose previous block is in doubt."""
        column_NB = self.window()[:, : self.block_length].clamp(min=0)
        is_behind_another_N = (self._block_N > 0) & (self._ending_N == 0)
        return (self.is_in_doubt.gather(1, column_NB).any(1) & is_behind_another_N)[:, None]

    def record_check(self, column_NX: Tensor, wanted_NX: Tensor, probability_NX: Tensor) -> None:
        """Store the check's probabilities of columns, where *wanted_NX* is true."""
        place_NX = column_NX.clamp(min=0)
        was_NX, asked_NX = self.probability_NC.gather(1, place_NX), self._asked_NC.gather(1, place_NX)
        self.probability_NC.scatter_(1, place_NX, torch.where(wanted_NX, probability_NX, was_NX))
        self._asked_NC.scatter_(1, place_NX, asked_NX | wanted_NX)

    def window(self) -> Tensor:
        """Return the columns (N, L) of the next pass; negative ones precede the response."""
        return (self._block_N * self.block_length)[:, None] + self._window_L

    def commit(self, logits_NBV: Tensor) -> DecodingStep:
        """Commit tokens from the logits of the current block; rows with a full block advance."""
        column_NB = (self._block_N * self.block_length)[:, None] + self._column_C[: self.block_length]
        open_NB = self._open_NC.gather(1, column_NB)
        writing_N = self._ending_N == 0
        was_full_N = ~open_NB.any(1)
        if self._settings.schedule != "next_token":
            logits_NBV[..., self._mask_id] = -torch.inf
        self._step_N += writing_N & ~was_full_N
        self.forwards_N += writing_N
        best_NB, choice_NB = most_probable(logits_NBV)
        last_step_N1 = (self._step_N == self._settings.most_steps)[:, None]
        chosen_NB = choose_commits(best_NB, open_NB, self._settings.confidence_threshold) | (
            open_NB & last_step_N1
        )
        commit_NB = chosen_NB & writing_N[:, None]
        token_NB = torch.where(commit_NB, choice_NB, self.token_NC.gather(1, column_NB))
        probability_NB = torch.where(commit_NB, best_NB, self.probability_NC.gather(1, column_NB))
        self.token_NC.scatter_(1, column_NB, token_NB)
        self.probability_NC.scatter_(1, column_NB, probability_NB)
        self._open_NC.scatter_(1, column_NB, open_NB & ~commit_NB)
        step = DecodingStep(column_NB, token_NB, commit_NB, logits_NBV, self._step_N.clone())
        full_N = writing_N & ~(open_NB & ~commit_NB).any(1)
        self._end(full_N, (token_NB == self._eos_id).any(1))
        stored_N = was_full_N if self._settings.schedule == "unfused" else full_N
        onward_N = full_N & stored_N & (self._ending_N == 0)
        self._block_N += onward_N
        self._step_N.masked_fill_(onward_N, 0)
        return step

    def _end(self, full_N: Tensor, holds_eos_N: Tensor) -> None:
        ending_N = torch.where(self._block_N == self._last_N, 2, 0)
        if not self._settings.forced_length:
            ending_N = torch.where(self._loops(), 3, ending_N)
            ending_N = torch.where(holds_eos_N, 1, ending_N)
        self._ending_N.copy_(torch.where(full_N & (self._ending_N == 0), ending_N, self._ending_N))

    def _loops(self) -> Tensor:
        """Return the mask (N,) of rows that end in a loop.

        A loop is a sequence of tokens, repeated three times or more over at least 24 tokens.
        """
        end_N1 = ((self._block_N + 1) * self.block_length)[:, None]
        column_NW = end_N1 + self._looked_at_W
        token_NW = self.token_NC.gather(1, column_NW.clamp(min=0)).masked_fill(column_NW < 0, -1)
        earlier_PW = torch.arange(len(self._looked_at_W), device=token_NW.device) - self._period_P1
        same_NPW = token_NW[:, None] == token_NW[:, earlier_PW.clamp(min=0)]
        asked_PW = self._looked_at_W >= self._period_P1 - (_REPEATS * self._period_P1).clamp(min=_LEAST_LOOP)
        return (same_NPW | ~asked_PW).all(-1).any(-1)

    def results(self) -> list[Decoded]:
        """Return the response of each row."""
        decoded = []
        rows = zip(self.token_NC, self.probability_NC, self.is_text, strict=True)
        for row, (token_C, probability_C, text_C) in enumerate(rows):
            tokens, probabilities = token_C[text_C].tolist(), probability_C[text_C].tolist()
            ending = _ENDINGS[int(self._ending_N[row]) - 1]
            kept = len(tokens) - int(ending == "eos")
            forwards = int(self.forwards_N[row])
            decoded.append(Decoded(tuple(tokens[:kept]), tuple(probabilities[:kept]), ending, forwards))
        return decoded


def most_probable(logits_NBV: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest probability of each position, and its token, (N, B) each."""
    top_NB, choice_NB = logits_NBV.float().max(-1)
    return (top_NB - logits_NBV.float().logsumexp(-1)).exp(), choice_NB


def choose_commits(best_NB: Tensor, open_NB: Tensor, threshold: float) -> Tensor:
    """Return the mask of open tokens to commit: all that reach the threshold.

    If no token of a row reaches it, the most probable one is committed.
    """
    best_NB = best_NB.masked_fill(~open_NB, -1.0)
    most_NB = torch.zeros_like(open_NB).scatter_(1, best_NB.argmax(1, keepdim=True), value=True)
    reached_NB = best_NB >= threshold
    return open_NB & (reached_NB | (most_NB & ~reached_NB.any(1, keepdim=True)))


def choose_commits_by_block(best_NX: Tensor, open_NX: Tensor, block_length: int, threshold: float) -> Tensor:
    """Return the mask of open tokens to commit, separately for each block of a row."""
    blocks = (-1, block_length)
    return choose_commits(best_NX.reshape(blocks), open_NX.reshape(blocks), threshold).view_as(open_NX)
