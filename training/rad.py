"""RAD, Response-Asymmetric Diffusion: image and prompt once, only the response twice (ECHO, section RAD).

Shapes: N examples, P prompt, R response, S whole layout, M masked positions, D width,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from echo_node.model.block_mask import rad_layout
from echo_node.model.vlm import EchoForReportGeneration, Prompt
from training.collate import Batch
from training.readout import HalfwayReadOut, reading_loss
from training.recipe import RadRecipe

Loss = tuple[Tensor, dict[str, float]]


def noisy_hidden_states(
    model: EchoForReportGeneration, prompt: Prompt, clean_NR: Tensor, noisy_NR: Tensor
) -> Tensor:
    """Run the RAD layout and return the noisy stream's hidden states (N, R, D), the prompt's tail cut off.

    Args:
        model: the network.
        prompt: embedded prompts.
        clean_NR: the clean stream's response.
        noisy_NR: the same with masks in it.
    """
    layout = rad_layout(prompt.length, clean_NR.shape[1], model.config.block_length, clean_NR.device)
    embeds_NSD = torch.cat(
        [
            prompt.embeds_NPD,
            model.embed_response(clean_NR),
            prompt.embeds_NPD[:, layout.noisy_start :],
            model.embed_response(noisy_NR),
        ],
        1,
    )
    hidden_NSD = model.hidden_states(embeds_NSD, prompt.position_ids(layout.position_S), layout.mask_SS)
    return hidden_NSD[:, -clean_NR.shape[1] :]


def block_numbers(prompt_length: int, response_length: int, block_length: int) -> Tensor:
    """Return, for each response token, the number of its block, counted from the first that holds one."""
    position_R = torch.arange(prompt_length, prompt_length + response_length)
    return position_R // block_length - prompt_length // block_length


class RadObjective:
    """Denoise each block from its own level of noise, given the clean blocks before it."""

    def __init__(self, model: EchoForReportGeneration, recipe: RadRecipe, values: Sequence[int] = ()) -> None:
        """Prepare the objective.

        Args:
            model: the network.
            recipe: the noise, and how much reading the findings counts beside it.
            values: how many values each kind of finding has; needed if reading them counts.
        """
        self._model, self._recipe = model, recipe
        self.own = nn.ModuleDict({"halfway": HalfwayReadOut(model, values)} if recipe.findings_weight else {})

    def loss(self, batch: Batch, generator: torch.Generator) -> Loss:
        """Return the RAD loss, with the loss of reading the findings where the recipe asks for it."""
        prompt = self._model.embed_prompt(batch.prompt_NP, batch.pixel_values, batch.grid_thw)
        response_NR = batch.response_NR
        loss, hit = rad_loss(
            self._model, prompt, response_NR, response_NR, batch.trained_NR, self._recipe.min_noise, generator
        )
        figures = {"masked_accuracy": hit()}
        if self._recipe.findings_weight:
            found, figures["halfway_accuracy"] = reading_loss(
                self.own["halfway"](prompt.length), batch.findings_NF
            )
            loss = loss + self._recipe.findings_weight * found
        return loss, figures


def rad_loss(
    model: EchoForReportGeneration,
    prompt: Prompt,
    clean_NR: Tensor,
    response_NR: Tensor,
    trained_NR: Tensor,
    min_noise: float,
    generator: torch.Generator,
) -> tuple[Tensor, Callable[[], float]]:
    """Return the RAD loss, and a function that gives the accuracy at masked positions.

    Args:
        model: the network.
        prompt: embedded prompts.
        clean_NR: the text before each block; the response itself, unless another one is to be continued.
        response_NR: what is to be restored.
        trained_NR: where.
        min_noise: the least level of a block's noise.
        generator: of the noise.
    """
    mask_id = model.config.mask
    device = response_NR.device
    block_R = block_numbers(prompt.length, response_NR.shape[1], model.config.block_length).to(device)
    level_NK = torch.rand((len(response_NR), int(block_R[-1]) + 1), generator=generator).to(device)
    level_NR = (min_noise + (1 - min_noise) * level_NK)[:, block_R]
    masked_NR = torch.rand(response_NR.shape, generator=generator).to(device) < level_NR
    noisy_NR = response_NR.masked_fill(masked_NR, mask_id)
    scored_NR = masked_NR & trained_NR
    hidden_MD = noisy_hidden_states(model, prompt, clean_NR, noisy_NR)[scored_NR]
    logits_MV = model.lm_head(hidden_MD).float()
    target_M = response_NR[scored_NR]
    entropy_M = F.cross_entropy(logits_MV, target_M, reduction="none")
    loss = (entropy_M / level_NR[scored_NR]).sum() / trained_NR.sum()
    return loss, lambda: float((logits_MV.argmax(-1) == target_M).float().mean())
