"""A learner spread over processes: each holds a shard of every weight, gradient and moment (FSDP2).

Layers are gathered one at a time, in the forward and again in the backward; embeddings, head and read-outs
with the whole, since they are shared. Gradients come back averaged; the loop scales its loss accordingly.
"""

from __future__ import annotations

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from echo_node.errors import ConfigError
from training.objective import Learner
from training.recipe import Recipe
from training.world import World


def needs_one_process(plan: Recipe) -> str:
    """Return what a recipe asks for that needs the whole network in one process; empty if nothing does."""
    wanted = {
        "optimiser.muon": plan.optimiser.muon,
        "lora": plan.lora is not None,
        "hardware.keep_vision": plan.hardware.keep_vision != "no",
        "dcd.prefix = 'student'": plan.stage == "dcd" and plan.dcd.prefix == "student",
    }
    return next((name for name, is_set in wanted.items() if is_set), "")


def shard(learner: Learner, plan: Recipe, world: World) -> None:
    """Spread a learner over all processes, in place; all must hold the same one.

    Raises:
        ConfigError: the recipe asks for what needs the whole network in one process.
    """
    if reason := needs_one_process(plan):
        raise ConfigError(f"{reason} needs the whole network in one process; run it without torchrun")
    mesh = init_device_mesh(world.device.type, (world.size,))
    is_half = plan.hardware.precision == "bfloat16"
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if is_half else MixedPrecisionPolicy()
    network = learner.model.model
    for layer in (*network.language_model.layers, *network.visual.blocks):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(learner, mesh=mesh, mp_policy=policy)
