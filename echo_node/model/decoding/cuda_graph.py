"""A decoding step as one CUDA graph: its kernels are recorded once a draft and then replayed as a whole.

A forward of 2 B tokens of one draft reads every weight once and computes little; launched kernel by kernel
from Python it would take several times as long. A graph can stand for a step because a step has one shape and
keeps all its state in tensors that it changes in place (`canvas`, `kv_cache`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import torch

Result = TypeVar("Result")


class ReplayGraph(Protocol):
    """What records operations on tensors and does them again, on the same memory."""

    def recording(self) -> AbstractContextManager[None]:
        """Record what is done inside; whether it is done at the same time as well is the graph's affair."""
        ...

    def replay(self) -> None:
        """Do what was recorded."""
        ...

    @property
    def runs_while_recording(self) -> bool:
        """Whether recording also does what it records."""
        ...


class CudaGraph:
    """PyTorch's CUDA graph; recording launches nothing."""

    runs_while_recording = False

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def recording(self) -> AbstractContextManager[None]:
        """Record the kernels that are launched inside; what other threads do on the GPU does not disturb."""
        context: AbstractContextManager[None] = torch.cuda.graph(
            self._graph, capture_error_mode="thread_local"
        )
        return context

    def replay(self) -> None:
        """Launch all of them at once."""
        self._graph.replay()


def recorded(step: Callable[[], Result], graph: ReplayGraph) -> Callable[[], Result]:
    """Return *step* so that it runs from Python twice at most and is replayed from then on.

    The first call runs as it is, which lets libraries set themselves up; the second is recorded. What later
    calls return is the result of the second, its tensors overwritten: it holds until the next call.

    Args:
        step: has one shape, reads and writes the same tensors in every call, and reads nothing back.
        graph: records it.
    """
    calls = 0
    result: Result

    def run() -> Result:
        nonlocal calls, result
        calls += 1
        if calls == 1:
            return step()
        if calls == 2:
            with graph.recording():
                result = step()
            if graph.runs_while_recording:
                return result
        graph.replay()
        return result

    return run
