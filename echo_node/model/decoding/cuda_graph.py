"""A decoding step as a CUDA graph: its kernels are recorded once and then replayed together.

A forward pass over 2 B tokens of one draft reads every weight once and computes little. Launching
its kernels one by one from Python would take several times as long. A graph can replace the step
because a step always has the same shape, and keeps all its state in tensors that it changes in
place (`canvas`, `kv_cache`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import torch

Result = TypeVar("Result")


class ReplayGraph(Protocol):
    """Records operations on tensors, and replays them on the same memory."""

    def recording(self) -> AbstractContextManager[None]:
        """Record the operations inside the context."""
        ...

    def replay(self) -> None:
        """Run the recorded operations."""
        ...

    @property
    def runs_while_recording(self) -> bool:
        """Whether operations also run while they are recorded."""
        ...


class CudaGraph:
    """PyTorch's CUDA graph; recording launches nothing."""

    runs_while_recording = False

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def recording(self) -> AbstractContextManager[None]:
        """Record the kernels launched inside the context; other threads may use the GPU."""
        context: AbstractContextManager[None] = torch.cuda.graph(
            self._graph, capture_error_mode="thread_local"
        )
        return context

    def replay(self) -> None:
        """Launch all recorded kernels at once."""
        self._graph.replay()


def recorded(step: Callable[[], Result], graph: ReplayGraph) -> Callable[[], Result]:
    """Return a function that runs *step* from Python at most twice, and then replays it.

    The first call runs unrecorded, so that libraries can initialise themselves. The second call is
    recorded. Later calls overwrite the tensors that the second call returned, and return them
    again. A result is therefore valid until the next call.

    Args:
        step: function that always has the same shape, reads and writes the same tensors in every
            call, and copies nothing to the host.
        graph: recorder of the step.
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
