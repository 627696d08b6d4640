"""A CUDA graph's work on the CPU: records operations with their memory and replays them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Recorder(TorchDispatchMode):
    """Keeps every operation with its arguments and outputs; refuses what no CUDA graph can hold."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "a value is read back to the host"
        output = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_flatten(output)[0] if isinstance(t, Tensor)]
        given = {
            t.untyped_storage().data_ptr() for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)
        }
        made = [t for t in tensors if t.untyped_storage().data_ptr() not in given]
        self.operations.append((func, args, kwargs or {}, made))
        return output


class RecordedGraph:
    """Implements `Graph`; recording also runs."""

    runs_while_recording = True

    def __init__(self) -> None:
        self._recorder = Recorder()
        self.replays = 0

    @contextmanager
    def recording(self) -> Iterator[None]:
        with self._recorder:
            yield

    def replay(self) -> None:
        """Do each operation again; its outputs overwrite those that it had when it was recorded."""
        self.replays += 1
        for func, args, kwargs, made in self._recorder.operations:
            output = func(*args, **kwargs)
            anew = [t for t in tree_flatten(output)[0] if isinstance(t, Tensor)] if made else []
            for old, new in zip(made, anew, strict=True):
                old.copy_(new)
