"""Loading of published weights from a local folder: safetensors, or a pickle with tensors only."""

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
    """Check that a folder contains one of the files of each group.

    Args:
        folder: folder of the weights.
        metric: name of the metric, for the message.
        alternatives: groups of file names.

    Raises:
        CheckpointError: a file is missing; the message names the metric, the folder and the file.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{metric}: there is no folder {folder}")
    missing = [
        " or ".join(names) for names in alternatives if not any((folder / name).exists() for name in names)
    ]
    if missing:
        raise CheckpointError(f"{metric}: {folder} has no {', no '.join(missing)}")


def read_state(folder: Path, metric: str, pickled: str) -> dict[str, Tensor]:
    """Return the tensors of model.safetensors, or else of a pickle that must not contain code.

    Raises:
        CheckpointError: the file is truncated, or contains something other than tensors.
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
    """Call a `from_pretrained` on a local folder, without downloads or code from the folder.

    Raises:
        CheckpointError: the folder cannot be loaded.
    """
    try:
        return load(folder, local_files_only=True, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{metric}: {folder} cannot be loaded: {reason}") from error
