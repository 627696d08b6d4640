"""What each sequence has written, and the block that it is writing: state that stays on the device.

Shapes: N sequences, C columns of the response, B block, L tokens of a forward, W tokens that are looked at
for a loop, D model width, V vocabulary.

Column c of a row stands at the absolute position `start + c`, where `start` is the first position of the
block in which its prompt ends: the first columns may be the prompt's tail. Each row goes at its own pace; no
method reads anything back to the host but `finished` and `results`, and `commit` changes all state in place,
so that a step can be recorded as a graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from echo_node.model.network import EchoNetwork, Prompt

Ending = Literal["eos", "length", "loop"]
Check = Literal["off", "mark", "repair"]
_ENDINGS: tuple[Ending, ...] = ("eos", "length", "loop")  # 1, 2, 3 in `_ending_N`; 0 is still writing

_LONGEST_PERIOD = 32
_REPEATS = 3
_LEAST_LOOP = 24
_CERTAIN = 0.99  # a block of tokens that were all committed with this probability is not asked by the check


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How to decode.

    Attributes:
        confidence_threshold: a step commits a token whose probability is at least this, or the most probable
            one of the block if none is.
        most_steps: the step of a block that commits whatever is still open; 0 takes as many as it needs.
        max_new_tokens: the longest response; rounded up to whole blocks.
        schedule: `fused`, one forward carries the finished block and the one being written; `unfused`, a
            finished block costs a forward of its own; `next_token`, the blocks are single tokens, each read
            out at the one before it (an autoregressive model).
        check: `mark` gives every token of a doubtful block the probability that it has beside the rest of its
            block; `repair` also writes improbable ones anew when the draft is finished.
        improbable: what `repair` takes as improbable.
        forced_length: go on to the longest response whatever is written, as benchmarks need it.
    """

    confidence_threshold: float
    most_steps: int
    max_new_tokens: int
    schedule: Literal["fused", "unfused", "next_token"] = "fused"
    check: Check = "off"
    improbable: float = 0.05
    forced_length: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What one forward added.

    Attributes:
        column_NB: where the block being written stands.
        token_NB: the block after this step; the mask token where it is still open.
        commit_NB: which of its tokens this step committed.
        logits_NBV: what they were chosen from.
        step_N: the step's number within the block, from 1.
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
        tokens: ids up to the end of sequence, without it.
        probabilities: of each token when it was committed, or as the check found it.
        ending: by the end of sequence, at the length limit, or in a loop of repeated tokens.
        forwards: forwards of the language model after the prefill.
    """

    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]
    ending: Ending
    forwards: int

    @property
    def ended(self) -> bool:
        """Whether the response came to its end by itself."""
        return self.ending == "eos"

    @property
    def written(self) -> int:
        """Tokens written, the end of sequence counted, what stands behind it not."""
        return len(self.tokens) + int(self.ended)


class Canvas:
    """The responses of a batch in the making."""

    def __init__(self, model: EchoNetwork, prompt: Prompt, settings: DecodeSettings) -> None:
        """Make room for the responses to as many prompts as *prompt* has; `begin` comes before writing."""
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
        """Wipe everything out, for the prompts that now stand in their place."""
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
        """Whether every row has ended; the one byte that a step reads back."""
        return bool(self._ending_N.all())

    @property
    def is_text(self) -> Tensor:
        """True (N, C) where a column holds a written token up to the end of sequence, itself included."""
        written_NC = self.response_NC & ~self._open_NC
        if self._settings.forced_length:
            return written_NC
        is_eos_NC = (self.token_NC == self._eos_id) & written_NC
        behind_NC = is_eos_NC.cumsum(1) - is_eos_NC.long() > 0
        return written_NC & ~behind_NC

    @property
    def is_in_doubt(self) -> Tensor:
        """True (N, C) where the check still has something to ask: text that was not certain when written."""
        return self.is_text & (self.probability_NC < _CERTAIN) & ~self._asked_NC

    def finished_is_in_doubt(self) -> Tensor:
        """Return in which rows (N, 1) that are being written the block before is in doubt."""
        column_NB = self.window()[:, : self.block_length].clamp(min=0)
        is_behind_another_N = (self._block_N > 0) & (self._ending_N == 0)
        return (self.is_in_doubt.gather(1, column_NB).any(1) & is_behind_another_N)[:, None]

    def take_check(self, column_NX: Tensor, wanted_NX: Tensor, probability_NX: Tensor) -> None:
        """Take the probabilities that the check has found of columns, where they were wanted."""
        place_NX = column_NX.clamp(min=0)
        was_NX, asked_NX = self.probability_NC.gather(1, place_NX), self._asked_NC.gather(1, place_NX)
        self.probability_NC.scatter_(1, place_NX, torch.where(wanted_NX, probability_NX, was_NX))
        self._asked_NC.scatter_(1, place_NX, asked_NX | wanted_NX)

    def window(self) -> Tensor:
        """Return the columns (N, L) of the next forward; negative before the response's first block."""
        return (self._block_N * self.block_length)[:, None] + self._window_L

    def commit(self, logits_NBV: Tensor) -> Step:
        """Take a forward's logits of the block being written; where that is full, go on to the next."""
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
        chosen_NB = reached(best_NB, open_NB, self._settings.confidence_threshold) | (open_NB & last_step_N1)
        commit_NB = chosen_NB & writing_N[:, None]
        token_NB = torch.where(commit_NB, choice_NB, self.token_NC.gather(1, column_NB))
        probability_NB = torch.where(commit_NB, best_NB, self.probability_NC.gather(1, column_NB))
        self.token_NC.scatter_(1, column_NB, token_NB)
        self.probability_NC.scatter_(1, column_NB, probability_NB)
        self._open_NC.scatter_(1, column_NB, open_NB & ~commit_NB)
        step = Step(column_NB, token_NB, commit_NB, logits_NBV, self._step_N.clone())
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
        """Return which rows end in the same tokens, three times or more and at least 24 of them."""
        end_N1 = ((self._block_N + 1) * self.block_length)[:, None]
        column_NW = end_N1 + self._looked_at_W
        token_NW = self.token_NC.gather(1, column_NW.clamp(min=0)).masked_fill(column_NW < 0, -1)
        earlier_PW = torch.arange(len(self._looked_at_W), device=token_NW.device) - self._period_P1
        same_NPW = token_NW[:, None] == token_NW[:, earlier_PW.clamp(min=0)]
        asked_PW = self._looked_at_W >= self._period_P1 - (_REPEATS * self._period_P1).clamp(min=_LEAST_LOOP)
        return (same_NPW | ~asked_PW).all(-1).any(-1)

    def results(self) -> list[Decoded]:
        """Return each row's text."""
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
    """Return the probability of each position's most probable token, and that token, (N, B) each."""
    top_NB, choice_NB = logits_NBV.float().max(-1)
    return (top_NB - logits_NBV.float().logsumexp(-1)).exp(), choice_NB


def reached(best_NB: Tensor, open_NB: Tensor, threshold: float) -> Tensor:
    """Return which open tokens to commit: those at the threshold, or a row's most probable one if none is."""
    best_NB = best_NB.masked_fill(~open_NB, -1.0)
    most_NB = torch.zeros_like(open_NB).scatter_(1, best_NB.argmax(1, keepdim=True), value=True)
    reached_NB = best_NB >= threshold
    return open_NB & (reached_NB | (most_NB & ~reached_NB.any(1, keepdim=True)))


def reached_by_block(best_NX: Tensor, open_NX: Tensor, block_length: int, threshold: float) -> Tensor:
    """Return the same for rows of several blocks, each of which has its own most probable token."""
    blocks = (-1, block_length)
    return reached(best_NX.reshape(blocks), open_NX.reshape(blocks), threshold).view_as(open_NX)
