"""Processes of a run: one, or those of torchrun. Each computes its own rows of every batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from echo_node.errors import ConfigError
from training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Distributed:
    """Place of this process among the processes of a run.

    Attributes:
        rank: rank of this process; rank 0 is the main process.
        size: number of processes.
        device: device of this process.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which writes files and prints messages."""
        return self.rank == 0

    def rows(self, batch: int, micro_batch: int) -> list[range]:
        """Return the rows of a batch for this process, in parts of *micro_batch* (0: one part).

        Every second round deals out the parts in reverse order, because a batch is sorted by the
        length of its reports.

        Raises:
            ConfigError: the batch cannot be divided evenly among the processes.
        """
        if batch % self.size:
            raise ConfigError(
                f"optimiser.batch of {batch} cannot be divided evenly among {self.size} processes"
            )
        share = batch // self.size
        part = micro_batch or share
        to, fro = self.rank, self.size - 1 - self.rank
        dealt = []
        for turn, done in enumerate(range(0, share, part)):
            size = min(part, share - done)
            first = done * self.size + (fro if turn % 2 else to) * size
            dealt.append(range(first, first + size))
        return dealt

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their averages over all processes, which must pass the same shapes."""
        if self.size == 1 or not tensors:
            return
        for tensor, total in zip(tensors, _sums(tensors), strict=True):
            tensor.copy_(total / self.size)

    def share_out(self, work: Callable[[Tensor], Tensor], stacks: Sequence[Tensor]) -> list[Tensor]:
        """Apply *work* to stacks of tensors; every process does a part, and all get the results.

        Args:
            work: function of a stack of any length that returns a stack of the same shape; it must
                treat the tensors of a stack independently.
            stacks: stacks of tensors, the same on every process.
        """
        if self.size == 1 or not stacks:
            return [work(stack) for stack in stacks]
        results = [torch.zeros_like(stack) for stack in stacks]
        for stack, result in zip(stacks, results, strict=True):
            first, end = (len(stack) * rank // self.size for rank in (self.rank, self.rank + 1))
            if first < end:
                result[first:end] = work(stack[first:end])
        return _sums(results)

    @contextmanager
    def main_first(self, *, waits: bool) -> Iterator[None]:
        """Run the context on the main process first if *waits*, and otherwise on all at once."""
        if waits and not self.is_main:
            self.barrier()
        yield
        if waits and self.is_main:
            self.barrier()

    def all_reduce(self, values: dict[str, float]) -> dict[str, float]:
        """Return the sums over all processes, which must pass the same names in the same order."""
        if self.size == 1:
            return values
        added = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(added)
        return dict(zip(values, added.tolist(), strict=True))

    def barrier(self) -> None:
        """Wait until all processes have reached this call."""
        if self.size > 1:
            dist.barrier()


def _sums(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the sums of tensors over all processes, in one collective operation."""
    whole = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(whole)
    parts = torch.split(whole, [tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for tensor, part in zip(tensors, parts, strict=True)]


def resolve_precision(plan: Recipe, device: torch.device) -> Recipe:
    """Return the recipe with `auto` replaced by the precision for a device."""
    if plan.hardware.precision != "auto":
        return plan
    is_fast = device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    precision = "bfloat16" if is_fast else "float32"
    return plan.model_copy(update={"hardware": plan.hardware.model_copy(update={"precision": precision})})


@contextmanager
def join_processes(device: str) -> Iterator[Distributed]:
    """Join the process group of the run, and leave it at the end.

    Args:
        device: `cpu`, `cuda`, or `auto`, which uses GPUs if each process of this machine gets one.

    Raises:
        ConfigError: *device* is `cuda`, and there are too few GPUs.
    """
    gpus, processes = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if device == "cuda" and gpus < processes:
        raise ConfigError(
            f"hardware.device is 'cuda', but PyTorch finds {gpus or 'no'} GPU{'s' * (gpus > 1)} for "
            f"{processes} process{'es' * (processes > 1)}: torchrun's --nproc-per-node must not exceed "
            "the number of GPUs"
        )
    on_gpu = device == "cuda" or (device == "auto" and gpus >= processes)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(place)
    if size == 1:
        yield Distributed(0, 1, place)
        return
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Distributed(dist.get_rank(), size, place)
    finally:
        dist.destroy_process_group()
