"""The processes of a run: one, or those that torchrun has started, each with its rows of every batch."""

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
    """Where this process stands.

    Attributes:
        rank: of this process; the one of rank 0 writes files and talks.
        size: how many there are.
        device: that this one computes on.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def rows(self, batch: int, micro_batch: int) -> list[range]:
        """Return the rows of a batch that this process computes, in parts of *micro_batch* (0: in one).

        Parts are dealt out to and fro, since a batch goes from its shortest reports to its longest.

        Raises:
            ConfigError: the batch cannot be dealt out evenly.
        """
        if batch % self.size:
            raise ConfigError(
                f"optimiser.batch of {batch} cannot be dealt out evenly to {self.size} processes"
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
        """Replace tensors by their averages over all processes, each of which must give the same shapes."""
        if self.size == 1 or not tensors:
            return
        for tensor, total in zip(tensors, _sums(tensors), strict=True):
            tensor.copy_(total / self.size)

    def share_out(self, work: Callable[[Tensor], Tensor], stacks: Sequence[Tensor]) -> list[Tensor]:
        """Return what *work* makes of stacks of K tensors each, of which every process does a part.

        Args:
            work: takes a stack of any length and returns one of its shape; the others in it do not matter to
                what becomes of one.
            stacks: the same on every process.
        """
        if self.size == 1 or not stacks:
            return [work(stack) for stack in stacks]
        done = [torch.zeros_like(stack) for stack in stacks]
        for stack, of_all in zip(stacks, done, strict=True):
            first, end = (len(stack) * rank // self.size for rank in (self.rank, self.rank + 1))
            if first < end:
                of_all[first:end] = work(stack[first:end])
        return _sums(done)

    @contextmanager
    def main_first(self, *, waits: bool) -> Iterator[None]:
        """Let the process that leads do something first, and the others after it, if they wait at all."""
        if waits and not self.is_main:
            self.barrier()
        yield
        if waits and self.is_main:
            self.barrier()

    def all_reduce(self, values: dict[str, float]) -> dict[str, float]:
        """Return the sums over all processes; every one must name the same values in the same order."""
        if self.size == 1:
            return values
        added = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(added)
        return dict(zip(values, added.tolist(), strict=True))

    def barrier(self) -> None:
        """Wait for all processes to come here."""
        if self.size > 1:
            dist.barrier()


def _sums(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the sums of tensors over all processes, in one message."""
    whole = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(whole)
    parts = torch.split(whole, [tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for tensor, part in zip(tensors, parts, strict=True)]


def resolve_precision(plan: Recipe, device: torch.device) -> Recipe:
    """Return the recipe with the precision that `auto` means on a device."""
    if plan.hardware.precision != "auto":
        return plan
    is_fast = device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    precision = "bfloat16" if is_fast else "float32"
    return plan.model_copy(update={"hardware": plan.hardware.model_copy(update={"precision": precision})})


@contextmanager
def join_processes(device: str) -> Iterator[Distributed]:
    """Join the processes of the run, and part from them at the end.

    Args:
        device: `cpu`, `cuda`, or `auto` for the GPU if there is one for each process of this machine.

    Raises:
        ConfigError: GPUs are asked for and there are too few.
    """
    gpus, processes = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if device == "cuda" and gpus < processes:
        raise ConfigError(
            f"hardware.device is 'cuda', and PyTorch sees {gpus or 'no'} GPU{'s' * (gpus > 1)} for "
            f"{processes} process{'es' * (processes > 1)}: torchrun's --nproc-per-node must not be larger"
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
