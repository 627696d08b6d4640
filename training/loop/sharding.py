"""A learner on several processes: each holds a shard of every weight, gradient and moment (FSDP2), or all.

Layers of a sharded one are gathered one at a time, in the forward and again in the backward; embeddings, head
and read-outs with the whole, since they are shared. Its gradients come back averaged; those of copies are
averaged by the loop, which scales its loss accordingly.
"""

from __future__ import annotations

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from training.distributed import Distributed
from training.objectives.objective import Learner
from training.recipe import Recipe


def needs_whole_network(plan: Recipe) -> bool:
    """Tell whether a recipe asks for what needs the whole network in every process.

    Muon takes whole matrices; adapters, a tower whose features are kept and a student that writes are run
    outside the learner's forward. Every process then holds a copy, and the loop averages the gradients.
    """
    student_writes = plan.stage == "dcd" and plan.dcd.prefix == "student"
    keeps_features = plan.hardware.keep_vision != "no"
    return plan.optimiser.muon or plan.lora is not None or keeps_features or student_writes


def shard(learner: Learner, plan: Recipe, distributed: Distributed) -> None:
    """Spread a learner over all processes, in place; all must hold the same one."""
    mesh = init_device_mesh(distributed.device.type, (distributed.size,))
    is_half = plan.hardware.precision == "bfloat16"
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if is_half else MixedPrecisionPolicy()
    network = learner.model.model
    for layer in (*network.language_model.layers, *network.visual.blocks):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(learner, mesh=mesh, mp_policy=policy)
