"""Weights of other people's metrics from a local folder: safetensors, or a pickle of nothing but tensors."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from echo_node.errors import CheckpointError

SAFE = "model.safetensors"
_Loaded = TypeVar("_Loaded")


def require(folder: Path, metric: str, *alternatives: Sequence[str]) -> None:
    """See that a folder holds one of the files of each group.

    Raises:
        CheckpointError: naming the metric, the folder and the files that are missing.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{metric}: there is no folder {folder}")
    missing = [
        " or ".join(names) for names in alternatives if not any((folder / name).exists() for name in names)
    ]
    if missing:
        raise CheckpointError(f"{metric}: {folder} has no {', no '.join(missing)}")


def read_state(folder: Path, metric: str, pickled: str) -> dict[str, Tensor]:
    """Return the tensors of model.safetensors or, without it, of a pickle in which no code may be.

    Raises:
        CheckpointError: the file is truncated, or holds something else than tensors.
    """
    path = folder / SAFE if (folder / SAFE).is_file() else folder / pickled
    try:
        if path.name == SAFE:
            return load_file(path)
        stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{metric}: {path} cannot be loaded as tensors ({type(error).__name__})"
        ) from error
    state: dict[str, Tensor] = stored.get("model_state_dict", stored)
    return state


def from_transformers(load: Callable[..., _Loaded], folder: Path, metric: str, **options: object) -> _Loaded:
    """Call a `from_pretrained` on a local folder; nothing is fetched and no code of the folder is run.

    Raises:
        CheckpointError: the folder is not what is asked for.
    """
    try:
        return load(folder, local_files_only=True, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{metric}: {folder} cannot be loaded: {reason}") from error
