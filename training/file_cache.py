"""Files of cached results, written atomically: a reader finds a complete file or no file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from echo_node.errors import TransientError


def save_tensors(content: Any, path: Path, advice: str) -> None:
    """Write tensors to *path* atomically; other processes may write the same file at the same time.

    Args:
        content: tensors, or a dictionary of tensors.
        path: path of the file.
        advice: remedy for the error message.

    Raises:
        TransientError: the file cannot be written; no partial file remains.
    """
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        torch.save(content, partial)
    except (OSError, RuntimeError) as error:  # PyTorch's writer turns an OSError into a RuntimeError
        partial.unlink(missing_ok=True)
        raise TransientError(f"cannot write to {path.parent}: {advice}") from error
    partial.replace(path)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file atomically, and create its folder if necessary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f"{path.suffix}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
