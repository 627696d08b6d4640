"""Learner on several processes: each has a shard of all weights, gradients and moments, or a copy.

With shards (FSDP2), layers are gathered one at a time in the forward pass and again in the backward
pass. Embeddings, head and probes are gathered with the whole network, because they are shared. FSDP
averages the gradients of shards. The loop averages those of copies, and scales its loss
accordingly.
"""

from __future__ import annotations

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from training.distributed import Distributed
from training.objectives.objective import Learner
from training.recipe import Recipe


def needs_whole_network(plan: Recipe) -> bool:
    """Return whether a recipe needs the whole network in every process.

    Muon works on whole matrices. Adapters, a tower with cached features, and a student that writes
    run outside the learner's forward pass. In these cases every process has a copy, and the loop
    averages the gradients.
    """
    student_writes = plan.stage == "dcd" and plan.dcd.prefix == "student"
    keeps_features = plan.hardware.keep_vision != "no"
    return plan.optimiser.muon or plan.lora is not None or keeps_features or student_writes


def shard(learner: Learner, plan: Recipe, distributed: Distributed) -> None:
    """Shard a learner over all processes, in place; it must be the same in every process."""
    mesh = init_device_mesh(distributed.device.type, (distributed.size,))
    is_half = plan.hardware.precision == "bfloat16"
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if is_half else MixedPrecisionPolicy()
    network = learner.model.model
    for layer in (*network.language_model.layers, *network.visual.blocks):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(learner, mesh=mesh, mp_policy=policy)
