"""RAD, Response-Asymmetric Diffusion: only the response is duplicated (ECHO, section on RAD).

Shapes: N examples, P prompt, R response, C noisy copies of it, S whole layout, M masked positions,
D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from echo_node.model.block_mask import rad_layout, rad_length
from echo_node.model.network import EchoNetwork, Prompt
from training.examples.collate import Batch
from training.objectives.noise import Noise
from training.objectives.objective import Metrics, Part, Share
from training.objectives.packing import packed_hidden_states
from training.recipe import RadRecipe

_LEVELS, _MASKS = 0, 1  # streams of random numbers


def noisy_hidden_states(
    model: EchoNetwork,
    prompt: Prompt,
    clean_NR: Tensor,
    noisy_CNR: Sequence[Tensor],
    trained_NR: Tensor | None = None,
    row_tokens: int = 0,
) -> Tensor:
    """Run the RAD layout.

    All copies of a response follow one clean text, which is processed once for all of them.

    Args:
        model: network to run.
        prompt: embedded prompts.
        clean_NR: token ids of the clean response.
        noisy_CNR: C partly masked copies of the response.
        trained_NR: mask of the needed part of each response; required for packing.
        row_tokens: row length for packing, in tokens; 0 gives each example its own row.

    Returns:
        The hidden states of the noisy copies, (C, N, R, D), without the prompt's tail.
    """
    if row_tokens and trained_NR is not None:
        responses = [model.embed_response(each_NR) for each_NR in (clean_NR, *noisy_CNR)]
        sources_NKD = torch.cat([prompt.embeds_NPD, *responses], 1)
        length, copies = model.config.block_length, len(noisy_CNR)
        return packed_hidden_states(
            model, prompt, sources_NKD, trained_NR, row_tokens, block_length=length, copies=copies
        )
    response = clean_NR.shape[1]
    layout = rad_layout(prompt.length, response, model.config.block_length, clean_NR.device, len(noisy_CNR))
    tail_NTD = prompt.embeds_NPD[:, layout.noisy_start :]
    parts = [prompt.embeds_NPD, model.embed_response(clean_NR)]
    for noisy_NR in noisy_CNR:
        parts += [tail_NTD, model.embed_response(noisy_NR)]
    embeds_NSD = torch.cat(parts, 1)
    hidden_NSD = model.hidden_states(embeds_NSD, prompt.position_ids(layout.position_S), layout.mask_SS)
    behind_NSD = hidden_NSD[:, prompt.length + response :]
    return torch.stack([each[:, -response:] for each in behind_NSD.chunk(len(noisy_CNR), 1)])


def block_numbers(prompt_length: int, response_length: int, block_length: int) -> Tensor:
    """Return the block of each response token, counted from the first block with such a token."""
    position_R = torch.arange(prompt_length, prompt_length + response_length)
    return position_R // block_length - prompt_length // block_length


@dataclass(frozen=True, slots=True)
class NoisyResponse:
    """Partly masked responses.

    Attributes:
        noisy_NR: token ids, some replaced by the mask token.
        level_NR: noise level t of each token's block.
        trained_NR: tokens that count towards the loss.
        scored_NR: trained tokens that are masked.
    """

    noisy_NR: Tensor
    level_NR: Tensor
    trained_NR: Tensor
    scored_NR: Tensor


def add_noise(
    model: EchoNetwork,
    prompt_length: int,
    response_NR: Tensor,
    trained_NR: Tensor,
    min_noise: float,
    noise: Noise,
) -> NoisyResponse:
    """Mask each block of the responses at its own noise level.

    Args:
        model: network with the block length and the mask token.
        prompt_length: P, which decides where blocks begin.
        response_NR: target token ids.
        trained_NR: mask of the tokens to restore.
        min_noise: minimum noise level of a block.
        noise: source of random levels and masks.
    """
    rows, length = response_NR.shape
    device = response_NR.device
    block_R = block_numbers(prompt_length, length, model.config.block_length)
    level_NK = noise.uniform(_LEVELS, rows, int(block_R[-1]) + 1)
    level_NR = (min_noise + (1 - min_noise) * level_NK)[:, block_R].to(device)
    masked_NR = noise.uniform(_MASKS, rows, length).to(device) < level_NR
    noisy_NR = response_NR.masked_fill(masked_NR, model.config.mask)
    return NoisyResponse(noisy_NR, level_NR, trained_NR, masked_NR & trained_NR)


class RadObjective:
    """Denoises each block from its own noise level, given the clean blocks before it."""

    def __init__(self, model: EchoNetwork, recipe: RadRecipe, row_tokens: int = 0) -> None:
        """Prepare the objective.

        Args:
            model: network to train.
            recipe: noise of the objective.
            row_tokens: row length for packing, in tokens; 0 gives each example its own row.
        """
        self._model, self._recipe, self._row_tokens = model, recipe, row_tokens
        self.own = nn.ModuleDict()

    def shares(self, parts: Sequence[Part]) -> list[Share]:
        """Return the RAD loss of the responses of each part."""
        return [self._share(*part) for part in parts]

    def _share(self, batch: Batch, noise: Noise) -> Share:
        length, response_NR = batch.prompt_NP.shape[1], batch.response_NR
        noised = add_noise(self._model, length, response_NR, batch.trained_NR, self._recipe.min_noise, noise)
        counts = {"rad": float(batch.trained_NR.sum())}

        def sums() -> tuple[dict[str, Tensor], Metrics]:
            prompt = batch.embed(self._model)
            restored, hits = rad_loss(self._model, prompt, response_NR, noised, self._row_tokens)
            return {"rad": restored}, {"masked_accuracy": hits}

        rows, response = response_NR.shape
        return Share(counts, rows * rad_length(length, response, self._model.config.block_length), sums)


def rad_loss(
    model: EchoNetwork,
    prompt: Prompt,
    response_NR: Tensor,
    noised: NoisyResponse,
    row_tokens: int = 0,
) -> tuple[Tensor, tuple[float, float]]:
    """Return the sum of cross-entropy / t over the masked tokens, and the counts (correct, total).

    Args:
        model: network to run.
        prompt: embedded prompts.
        response_NR: target token ids.
        noised: partly masked responses.
        row_tokens: row length for packing, in tokens; 0 gives each example its own row.
    """
    [hidden_NRD] = noisy_hidden_states(
        model, prompt, response_NR, [noised.noisy_NR], noised.trained_NR, row_tokens
    )
    return masked_loss(model, hidden_NRD, response_NR, noised)


def masked_loss(
    model: EchoNetwork, hidden_NRD: Tensor, response_NR: Tensor, noised: NoisyResponse
) -> tuple[Tensor, tuple[float, float]]:
    """Return the sum of cross-entropy / t over the masked tokens, and the counts (correct, total).

    Args:
        model: network with the output head.
        hidden_NRD: hidden states of the noisy copy.
        response_NR: target token ids.
        noised: partly masked responses, with their noise levels.
    """
    scored_NR = noised.scored_NR
    logits_MV = model.lm_head(hidden_NRD[scored_NR]).float()
    target_M = response_NR[scored_NR]
    entropy_M = F.cross_entropy(logits_MV, target_M, reduction="none")
    hits = float((logits_MV.argmax(-1) == target_M).sum())
    return (entropy_M / noised.level_NR[scored_NR]).sum(), (hits, len(target_M))
