"""Low-rank adapters on the language model, by peft; they are merged before the weights are saved.

A checkpoint therefore has plain weights, however it was trained, and any stage can start from it.
"""

from __future__ import annotations

import torch

from echo_node.errors import ConfigError
from echo_node.model.network import EchoNetwork
from training.recipe import LoraRecipe

_MATRICES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def adapt(model: EchoNetwork, recipe: LoraRecipe) -> None:
    """Freeze the language model, and add a float32 adapter to each matrix of its layers.

    Raises:
        ConfigError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ModuleNotFoundError:
        raise ConfigError("a recipe with [lora] needs peft: pip install 'echo-node[train]'") from None
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=_MATRICES,
    )
    language_model = model.model.language_model
    language_model.requires_grad_(requires_grad=False)
    model.lm_head.requires_grad_(requires_grad=False)
    inject_adapter_in_model(config, language_model)
    for name, parameter in language_model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()


@torch.no_grad()
def merge(model: EchoNetwork) -> None:
    """Merge the adapters into the weights, and remove them."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            parent, _, attribute = name.rpartition(".")
            module.merge(safe_merge=True)
            setattr(model.get_submodule(parent), attribute, module.get_base_layer())
