"""AR objective: next-token cross-entropy on the response, as for autoregressive models.

Shapes: N examples, P prompt, R response, L prompt and response, M trained tokens of the batch,
D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from echo_node.model.block_mask import block_causal
from echo_node.model.network import EchoNetwork, Prompt
from training.examples.collate import Batch
from training.objectives.objective import Metrics, Part, Share
from training.objectives.packing import packed_hidden_states


def up_to_eos(response_NR: Tensor, eos_id: int) -> Tensor:
    """Return the mask (N, R) of tokens up to and including the first EOS of a response."""
    is_eos_NR = response_NR == eos_id
    return (is_eos_NR.cumsum(1) - is_eos_NR.long()) == 0


def causal_hidden_states(
    model: EchoNetwork,
    prompt: Prompt,
    response_NR: Tensor,
    trained_NR: Tensor,
    row_tokens: int = 0,
) -> Tensor:
    """Run prompt and response under a causal mask.

    Args:
        model: network to run.
        prompt: embedded prompts.
        response_NR: token ids of the responses.
        trained_NR: mask of the tokens to predict.
        row_tokens: row length for packing, in tokens; 0 gives each example its own row.

    Returns:
        The hidden states (N, R, D) that predict the response.
    """
    embeds_NLD = torch.cat([prompt.embeds_NPD, model.embed_response(response_NR)], 1)
    if row_tokens:
        return packed_hidden_states(
            model, prompt, embeds_NLD, trained_NR, row_tokens, block_length=1, shift=1
        )[0]
    position_L = torch.arange(embeds_NLD.shape[1], device=response_NR.device)
    mask_LL = block_causal(len(position_L), 1, position_L.device)
    hidden_NLD = model.hidden_states(embeds_NLD, prompt.position_ids(position_L), mask_LL)
    return hidden_NLD[:, prompt.length - 1 : -1]


class ArObjective:
    """Predicts each token of the response, and its end, from all earlier tokens."""

    def __init__(self, model: EchoNetwork, row_tokens: int = 0) -> None:
        """Prepare the objective.

        Args:
            model: network to train.
            row_tokens: row length for packing, in tokens; 0 gives each example its own row.
        """
        self._model, self._row_tokens = model, row_tokens
        self.own = nn.ModuleDict()

    def shares(self, parts: Sequence[Part]) -> list[Share]:
        """Return the cross-entropy of the responses of each part; it uses no noise."""
        return [self._share(batch) for batch, _ in parts]

    def _share(self, batch: Batch) -> Share:
        response_NR = batch.response_NR
        trained_NR = up_to_eos(response_NR, self._model.config.end_of_sequence) & batch.trained_NR
        count = int(trained_NR.sum())

        def sums() -> tuple[dict[str, Tensor], Metrics]:
            hidden_NRD = causal_hidden_states(
                self._model, batch.embed(self._model), response_NR, trained_NR, self._row_tokens
            )
            logits_MV = self._model.lm_head(hidden_NRD[trained_NR]).float()
            target_M = response_NR[trained_NR]
            entropy = F.cross_entropy(logits_MV, target_M, reduction="sum")
            hits = float((logits_MV.argmax(-1) == target_M).sum())
            return {"next_token": entropy}, {"accuracy": (hits, count)}

        return Share({"next_token": count}, batch.prompt_NP.numel() + response_NR.numel(), sums)
