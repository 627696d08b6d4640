"""Block-diffusion decoding: one loop for one-step and for multi-step, fused or not.

Shapes: N sequences, B block length, L tokens of a forward, V vocabulary, D model width.

A block starts as masks. A step reads every masked position's distribution and commits those whose
probability reaches the threshold, or the single most probable one if none does; a threshold of 0 commits
the whole block in one step. Committed text is greedy: a student distilled by DCD is only coherent that way.

Fused: the forward that begins block n carries [clean block n-1 | block n], keeps the keys and values of
the first and reads the second, so that N blocks cost N forwards instead of 2 N (ECHO, section on decoding).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from echo_node.model.block_mask import block_causal, visible
from echo_node.model.vlm import EchoForReportGeneration, Prompt

CommitListener = Callable[[int, Tensor, Tensor, int], None]


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How to decode.

    Attributes:
        confidence_threshold: commit a token when its probability is at least this; 0 is one step a block.
        max_new_tokens: the longest response; rounded up to whole blocks.
        fused: write the previous block's keys and values in the next block's first forward.
    """

    confidence_threshold: float
    max_new_tokens: int
    fused: bool = True


@dataclass(frozen=True, slots=True)
class Decoded:
    """One response.

    Attributes:
        tokens: ids up to the end of sequence, without it.
        probabilities: of each token when it was committed.
        ended: whether the end of sequence was written before the length limit.
        forwards: forwards of the language model after the prefill.
    """

    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]
    ended: bool
    forwards: int

    @property
    def written(self) -> int:
        """Tokens written, the end of sequence counted, what stands behind it not."""
        return len(self.tokens) + int(self.ended)


@torch.inference_mode()
def decode(
    model: EchoForReportGeneration,
    prompt: Prompt,
    settings: DecodeSettings,
    on_commit: CommitListener | None = None,
) -> list[Decoded]:
    """Write the responses to prompts of equal length.

    Args:
        model: the network.
        prompt: N embedded prompts.
        settings: how to decode.
        on_commit: called at each step with (absolute position of the block, committed (N, B) boolean,
            logits (N, B, V), step counted from 1), for a teacher's rollouts.
    """
    blocks = _Blocks(model, prompt, settings)
    while not blocks.done:
        blocks.write_next(on_commit)
    return blocks.results()


class _Blocks:
    """The state of one decoding: the cache, the blocks written and the one not yet in the cache."""

    def __init__(self, model: EchoForReportGeneration, prompt: Prompt, settings: DecodeSettings) -> None:
        self._model, self._prompt, self._settings = model, prompt, settings
        self._length = model.config.block_length
        self._mask_id = model.config.mask
        self._eos_id = model.config.end_of_sequence
        self._device = prompt.embeds_NPD.device
        self._sequences = prompt.embeds_NPD.shape[0]
        self._start = prompt.length // self._length * self._length
        self._tail = prompt.length - self._start
        block_count = -(-(self._tail + settings.max_new_tokens) // self._length)
        self._end = self._start + block_count * self._length
        self._cache = model.new_cache(self._sequences, self._end + self._length)
        self._pending_NBD: Tensor | None = None
        self._tokens: list[Tensor] = []
        self._probabilities: list[Tensor] = []
        self._finished_N = torch.zeros(self._sequences, dtype=torch.bool, device=self._device)
        self._forwards_N = torch.zeros(self._sequences, dtype=torch.long, device=self._device)
        self.done = False
        self._prefill()

    def _prefill(self) -> None:
        if self._start == 0:
            return
        position_L = torch.arange(self._start, device=self._device)
        self._model.hidden_states(
            self._prompt.embeds_NPD[:, : self._start],
            self._prompt.position_ids(position_L),
            block_causal(self._start, self._length, self._device),
            self._cache,
        )
        self._cache.commit(self._start)

    def write_next(self, on_commit: CommitListener | None) -> None:
        """Denoise the next block to its end."""
        at = self._start + len(self._tokens) * self._length
        given = self._tail if not self._tokens else 0
        token_NB = torch.full((self._sequences, self._length), self._mask_id, device=self._device)
        probability_NB = torch.ones((self._sequences, self._length), device=self._device)
        masked_NB = torch.ones_like(token_NB, dtype=torch.bool)
        masked_NB[:, :given] = False
        step, one_step = 0, self._settings.confidence_threshold <= 0
        while step == 0 or (not one_step and bool(masked_NB.any())):
            step += 1
            self._forwards_N += masked_NB.any(1) & ~self._finished_N
            logits_NBV = self._denoise(at, self._embed(token_NB, given))
            logits_NBV[..., self._mask_id] = -torch.inf
            best_NB, choice_NB = torch.softmax(logits_NBV.float(), -1).max(-1)
            commit_NB = self._to_commit(best_NB, masked_NB)
            if on_commit is not None:
                on_commit(at, commit_NB, logits_NBV, step)
            token_NB = torch.where(commit_NB, choice_NB, token_NB)
            probability_NB = torch.where(commit_NB, best_NB, probability_NB)
            masked_NB = masked_NB & ~commit_NB
        self._keep(token_NB, probability_NB, given, at)

    def _to_commit(self, best_NB: Tensor, masked_NB: Tensor) -> Tensor:
        open_NB = best_NB.masked_fill(~masked_NB, -1.0)
        most_NB = torch.zeros_like(masked_NB).scatter_(1, open_NB.argmax(1, keepdim=True), value=True)
        reached_NB = open_NB >= self._settings.confidence_threshold
        return masked_NB & (reached_NB | (most_NB & ~reached_NB.any(1, keepdim=True)))

    def _embed(self, token_NB: Tensor, given: int) -> Tensor:
        embeds_NBD = self._model.embed_response(token_NB)
        if given:
            embeds_NBD = torch.cat([self._prompt.embeds_NPD[:, self._start :], embeds_NBD[:, given:]], 1)
        return embeds_NBD

    def _denoise(self, at: int, block_NBD: Tensor) -> Tensor:
        """Return the logits of the block at position *at*, writing the pending clean block on the way."""
        pending_NBD, self._pending_NBD = self._pending_NBD, None
        if pending_NBD is None:
            hidden_NBD = self._forward(at, block_NBD, noisy_from=at)
        else:
            both_NLD = torch.cat([pending_NBD, block_NBD], 1)
            hidden_NBD = self._forward(at - self._length, both_NLD, noisy_from=at)[:, -self._length :]
            self._cache.commit(self._length)
        logits_NBV: Tensor = self._model.lm_head(hidden_NBD)
        return logits_NBV

    def _forward(self, at: int, embeds_NLD: Tensor, noisy_from: int) -> Tensor:
        position_L = torch.arange(at, at + embeds_NLD.shape[1], device=self._device)
        position_K = torch.arange(at + embeds_NLD.shape[1], device=self._device)
        mask_LK = visible(
            position_L // self._length,
            position_L >= noisy_from,
            position_K // self._length,
            position_K >= noisy_from,
        )
        return self._model.hidden_states(
            embeds_NLD, self._prompt.position_ids(position_L), mask_LK, self._cache
        )

    def _keep(self, token_NB: Tensor, probability_NB: Tensor, given: int, at: int) -> None:
        clean_NBD = self._embed(token_NB, given)
        self._tokens.append(token_NB)
        self._probabilities.append(probability_NB)
        self._finished_N |= (token_NB[:, given:] == self._eos_id).any(1)
        self.done = at + self._length >= self._end or bool(self._finished_N.all())
        if self.done:
            return
        if self._settings.fused:
            self._pending_NBD = clean_NBD
        else:
            self._forwards_N += ~self._finished_N
            self._forward(at, clean_NBD, noisy_from=at + self._length)
            self._cache.commit(self._length)

    def results(self) -> list[Decoded]:
        """Cut each response at its first end of sequence."""
        rows = torch.cat(self._tokens, 1)[:, self._tail :].tolist()
        chances = torch.cat(self._probabilities, 1)[:, self._tail :].tolist()
        forwards = self._forwards_N.tolist()
        decoded = []
        for row, chance, forward_count in zip(rows, chances, forwards, strict=True):
            ended = self._eos_id in row
            cut = row.index(self._eos_id) if ended else len(row)
            decoded.append(Decoded(tuple(row[:cut]), tuple(chance[:cut]), ended, forward_count))
        return decoded
