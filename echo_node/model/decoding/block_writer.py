"""Forward passes of a decoding: the prefill, one block after another, noisy copies of blocks.

Fused schedule: every forward pass carries [finished block n-1 | current block n]. It leaves the
keys and values of the finished block in the cache and predicts the current one, so that n blocks
cost n passes instead of 2 n (ECHO, section on decoding). All passes of a batch have the same shape,
and no row waits for another. A row that takes a second step repeats its finished block, which
writes the same keys and values again.

The check uses the same passes: if the finished block is in doubt, the pass that carries it also
reads two half-masked copies of it, which give the probability of each token given the other half
(`half_masked`).

A cache slot is a position. When a block is carried as finished, it overwrites the noise in its
slots. The mask therefore needs one rule only: a query attends to the slots of its own block and of
earlier ones.

Shapes: N sequences, P prompt, B block length, L tokens per forward pass, C columns of the response,
S slots, A copies, K blocks, X = K * B tokens, Y = A * X, D model width, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

from echo_node.model.block_mask import block_causal
from echo_node.model.decoding.canvas import Canvas, DecodeSettings, DecodingStep
from echo_node.model.decoding.cuda_graph import CudaGraph, ReplayGraph, recorded
from echo_node.model.decoding.half_masked import COPIES, half_masked, probability_of, where_masked
from echo_node.model.network import EchoNetwork, Prompt

_PROMPT_STEP = 256  # the capacity for prompts is a multiple of this, in tokens
_NEVER = torch.iinfo(torch.long).max
_VISIBLE_STEP = 64  # the number of visible slots is a multiple of this, unless the shape is fixed


class BlockWriter:
    """A network, its cache with the prompts, and the canvas that it writes on.

    It can serve another batch of the same size with the same memory and the same recorded step.
    """

    def __init__(
        self,
        model: EchoNetwork,
        prompt: Prompt,
        settings: DecodeSettings,
        graph: ReplayGraph | None = None,
    ) -> None:
        """Allocate memory and prefill the prompts.

        Args:
            model: network that writes.
            prompt: embedded prompts.
            settings: settings of the decoding.
            graph: recorder of the step; by default a CUDA graph on a GPU, and none on a CPU.
        """
        self.model = model
        self.prompt = prompt.padded_to(-(-prompt.length // _PROMPT_STEP) * _PROMPT_STEP)
        self.canvas = Canvas(model, self.prompt, settings)
        self._block_length = self.canvas.block_length
        self._asks = settings.check != "off" and settings.schedule == "fused"
        self._columns = self.canvas.token_NC.shape[1]
        # An empty block of slots precedes position 0: block 0 has no finished block before it.
        self._void = self._block_length
        self.slots = self._void + self.prompt.length + self._columns
        # After them there is space for two noisy copies of the response, for the check.
        self.cache = model.new_cache(len(prompt.length_N), self.slots + 2 * self._columns)
        device = prompt.embeds_NPD.device
        slot_S = torch.arange(self.slots, device=device) - self._void
        self.block_of_slot_S = (slot_S // self._block_length).masked_fill(slot_S < 0, _NEVER)
        if graph is None and device.type == "cuda":
            graph = CudaGraph()
        self._one_shape = graph is not None
        self._step = self._advance if graph is None else recorded(self._advance, graph)
        self.begin(prompt)

    def fits(self, prompt: Prompt) -> bool:
        """Return whether these prompts fit into the allocated memory."""
        same_number = len(prompt.length_N) == len(self.prompt.length_N)
        return same_number and prompt.length <= self.prompt.length

    def begin(self, prompt: Prompt) -> None:
        """Prefill prompts that fit, and reset the canvas."""
        self.prompt.copy_from(prompt)
        self.canvas.begin()
        self._longest, self._forwards = int(self.canvas.start_N.max()), 0
        if self._longest == 0:
            return
        position_L = torch.arange(self._longest, device=self.block_of_slot_S.device)
        sequences = len(prompt.length_N)
        self.cache.place((position_L + self._void).expand(sequences, -1), self._void + self._longest)
        mask_LK = block_causal(self._longest, self._block_length, position_L.device)
        self.model.hidden_states(
            prompt.embeds_NPD[:, : self._longest],
            prompt.position_ids(position_L),
            F.pad(mask_LK, (self._void, 0)),
            self.cache,
        )

    def advance(self) -> DecodingStep:
        """Run one forward pass and commit tokens; the result is valid until the next call."""
        return self._step()

    def _advance(self) -> DecodingStep:
        column_NL, seen = self.canvas.window(), self._visible_slots()
        in_doubt_N1 = self.canvas.finished_is_in_doubt() if self._asks else None
        if in_doubt_N1 is not None and (self._one_shape or in_doubt_N1.any()):
            hidden_NLD = self._write_and_check(column_NL, in_doubt_N1, seen)
        else:
            hidden_NLD = self._write(column_NL, seen)
        return self.canvas.commit(self.model.lm_head(hidden_NLD[:, -self._block_length :]))

    def _write_and_check(self, column_NL: Tensor, in_doubt_N1: Tensor, seen: int) -> Tensor:
        finished_NB = column_NL[:, : self._block_length]
        hidden_NLD, beside_NBD = self._write_with_copies(column_NL, finished_NB, seen)
        logits_NBV = self.model.lm_head(beside_NBD)
        found_NB = probability_of(self._token(finished_NB), logits_NBV, self.model.config.mask)
        self.canvas.record_check(finished_NB, in_doubt_N1.expand_as(found_NB), found_NB)
        return hidden_NLD

    def load_response(self, token_NC: Tensor) -> None:
        """Write a whole response into the cache in one pass, as if decoded block by block."""
        columns = token_NC.shape[1]
        self.canvas.token_NC[:, :columns] = token_NC
        self._write(torch.arange(columns, device=token_NC.device).expand_as(token_NC), self.slots)

    def _write(self, column_NL: Tensor, seen: int) -> Tensor:
        self.cache.place(self._positions(column_NL) + self._void, seen)
        return self._read(column_NL, self._token(column_NL), self._sees_up_to_its_block(column_NL, seen))

    def _write_with_copies(self, column_NL: Tensor, asked_NX: Tensor, seen: int) -> tuple[Tensor, Tensor]:
        """Run `_write`, and half-masked copies of blocks in slots after the visible ones.

        Returns:
            The hidden states (N, L, D) of *column_NL*, and those (N, X, D) of *asked_NX*, each from
            the copy that masks it.
        """
        copies_NAX = half_masked(asked_NX, self._token(asked_NX), self.model.config.mask)
        column_NY, token_NY = asked_NX.repeat(1, COPIES), copies_NAX.flatten(1)
        slot_NL = self._positions(column_NL) + self._void
        slot_Y = torch.arange(seen, seen + column_NY.shape[1], device=column_NY.device)
        self.cache.place(torch.cat([slot_NL, slot_Y.expand_as(column_NY)], 1), seen + len(slot_Y))
        mask_NLS = F.pad(self._sees_up_to_its_block(column_NL, seen), (0, len(slot_Y)))
        hidden_NLD = self._read(
            torch.cat([column_NL, column_NY], 1),
            torch.cat([self._token(column_NL), token_NY], 1),
            torch.cat([mask_NLS, self._sees_earlier_and_own_copy(column_NY, seen)], 1),
        )
        hidden_NLD, behind_NYD = torch.split(hidden_NLD, [column_NL.shape[1], column_NY.shape[1]], 1)
        return hidden_NLD, where_masked(asked_NX, torch.stack(behind_NYD.chunk(COPIES, 1), 1))

    def _read(self, column_NL: Tensor, token_NL: Tensor, mask_NLS: Tensor) -> Tensor:
        position_3NL = self.prompt.position_ids(self._positions(column_NL))
        return self.model.hidden_states(self.embed(column_NL, token_NL), position_3NL, mask_NLS, self.cache)

    def _positions(self, column_NL: Tensor) -> Tensor:
        return self.canvas.start_N[:, None] + column_NL

    def _token(self, column_NL: Tensor) -> Tensor:
        return self.canvas.token_NC.gather(1, column_NL.clamp(min=0))

    def _sees_up_to_its_block(self, column_NL: Tensor, seen: int) -> Tensor:
        block_NL = (self._positions(column_NL) // self._block_length).clamp(min=0)
        return self.block_of_slot_S[:seen] <= block_NL[..., None]

    def _sees_earlier_and_own_copy(self, column_NY: Tensor, clean: int) -> Tensor:
        """Return the mask (N, Y, clean + Y) of noisy copies whose slots follow *clean* slots."""
        block_NY1 = (self._positions(column_NY) // self._block_length)[..., None]
        own_Y = torch.arange(column_NY.shape[1], device=column_NY.device) // self._block_length
        own_NYY = (own_Y[:, None] == own_Y).expand(len(column_NY), -1, -1)
        return torch.cat([self.block_of_slot_S[:clean] < block_NY1, own_NYY], 2)

    def embed(self, column_NL: Tensor, token_NL: Tensor) -> Tensor:
        """Return the embeddings of tokens at columns; columns of the prompt have its embeddings."""
        position_NL = self._positions(column_NL)
        is_prompt_NL = position_NL < self.prompt.length_N[:, None]
        place_NL1 = position_NL.clamp(min=0, max=self.prompt.length - 1)[..., None]
        prompt_NLD = self.prompt.embeds_NPD.gather(
            1, place_NL1.expand(-1, -1, self.prompt.embeds_NPD.shape[2])
        )
        return torch.where(is_prompt_NL[..., None], prompt_NLD, self.model.embed_response(token_NL))

    def noisy_hidden_states(self, block_NK: Tensor, token_NAX: Tensor) -> Tensor:
        """Run noisy copies of written blocks, all at once, over the clean blocks in the cache.

        Args:
            block_NK: numbers of K blocks in each row, counted from the first block of the response.
            token_NAX: their X = K * B tokens, in A partly masked copies.

        Returns:
            The hidden states (N, A, X, D). A copy of a block sees the earlier blocks and its own
            unmasked tokens.
        """
        sequences, copies, length = token_NAX.shape
        column_NY = self.columns(block_NK).repeat(1, copies)
        clean = self._void + self._longest + (int(block_NK.max()) + 1) * self._block_length
        slot_Y = torch.arange(clean, clean + copies * length, device=column_NY.device)
        self.cache.place(slot_Y.expand(sequences, -1), clean + copies * length)
        mask_NYS = self._sees_earlier_and_own_copy(column_NY, clean)
        hidden_NYD = self._read(column_NY, token_NAX.reshape(sequences, -1), mask_NYS)
        return hidden_NYD.view(sequences, copies, length, -1)

    def columns(self, block_NK: Tensor) -> Tensor:
        """Return the columns (N, X) of blocks."""
        within_B = torch.arange(self._block_length, device=block_NK.device)
        return (block_NK[..., None] * self._block_length + within_B).flatten(1)

    def _visible_slots(self) -> int:
        """Return the number of visible slots for the next pass; a graph always sees all."""
        self._forwards += 1
        if self._one_shape:
            return self.slots
        reached = self._void + self._longest + self._forwards * self._block_length
        return min(self.slots, -(-reached // _VISIBLE_STEP) * _VISIBLE_STEP)
