"""Findings probes: classifiers inside a network, so that it learns to see as it learns to write.

The probes are trained with the network and then discarded. A small network with random initial
weights needs them: the loss on words alone teaches it to write fluently without regard to the image
(docs/explanation/experiments.md).

Shapes: N images, P prompt tokens, T tokens of an image, D width, F kinds of finding, C values of
one kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from echo_node.model.network import EchoNetwork


class ImageTokenProbe(nn.Module):
    """Linear probe of all image tokens: it teaches the vision tower to see the findings."""

    def __init__(self, tokens: int, width: int, values: Sequence[int]) -> None:
        """Create the probe.

        Args:
            tokens: T, tokens of an image.
            width: D, width of the network.
            values: C, number of values, for each kind of finding.
        """
        super().__init__()
        self._values = list(values)
        self.linear = nn.Linear(tokens * width, sum(values))

    def forward(self, image_NTD: Tensor) -> Sequence[Tensor]:
        """Return the logits (N, C) of each kind of finding."""
        logits: Sequence[Tensor] = self.linear(image_NTD.flatten(1)).split(self._values, 1)
        return logits


class MidLayerProbe(nn.Module):
    """Probe with one attention query for each kind of finding, over the prompt in the middle layer.

    The tokens of a response see the prompt only through the keys and values of lower layers. If a
    query finds a finding in the middle layer by content alone, the tokens can find it in the upper
    half of the network. Information that only the last layer's output contains would come too
    late for them.
    """

    def __init__(self, model: EchoNetwork, values: Sequence[int]) -> None:
        """Hook into the middle layer of *model*.

        Args:
            model: network, whose last forward pass is the input of `forward`.
            values: C, number of values, for each kind of finding.
        """
        super().__init__()
        width = model.config.text.hidden_size
        self.query_FD = nn.Parameter(torch.randn(len(values), width) * width**-0.5)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.logits = nn.ModuleList(nn.Linear(width, count) for count in values)
        self._hidden_NSD = torch.empty(0)
        layers = model.model.language_model.layers
        layers[max(0, len(layers) // 2 - 1)].register_forward_hook(self._store_output)

    def _store_output(self, _layer: nn.Module, _inputs: object, output: Tensor) -> None:
        self._hidden_NSD = output

    def forward(self, prompt_length: int) -> Sequence[Tensor]:
        """Return the logits (N, C) of each kind of finding, read from the prompt's tokens."""
        hidden_NPD = self._hidden_NSD[:, :prompt_length]
        hidden_NPD = F.layer_norm(hidden_NPD, hidden_NPD.shape[-1:])
        attention_NFP = (self.query_FD @ self.key(hidden_NPD).mT).softmax(-1)
        found_NFD = attention_NFP @ self.value(hidden_NPD)
        return [logits(found_NFD[:, kind]) for kind, logits in enumerate(self.logits)]


def probe_loss(logits: Sequence[Tensor], findings_NF: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Return the summed cross-entropy of all findings, and the counts (correct, total)."""
    losses = [
        F.cross_entropy(each_NC.float(), findings_NF[:, kind], reduction="sum")
        for kind, each_NC in enumerate(logits)
    ]
    hits = sum(
        float((each_NC.argmax(1) == findings_NF[:, kind]).sum()) for kind, each_NC in enumerate(logits)
    )
    return torch.stack(losses).sum(), (hits, findings_NF.numel())
