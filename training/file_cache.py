"""Files that are there whole or not at all: what a run has computed once and reads again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from echo_node.errors import TransientError


def keep(content: Any, path: Path, advice: str) -> None:
    """Write tensors to *path*; other processes may write the same file at the same time.

    Args:
        content: tensors, or a dictionary of them.
        path: the file.
        advice: what whoever reads the error may do.

    Raises:
        TransientError: the file could not be written; nothing is left of it.
    """
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        torch.save(content, partial)
    except (OSError, RuntimeError) as error:  # PyTorch's writer turns an OSError into a RuntimeError
        partial.unlink(missing_ok=True)
        raise TransientError(f"{path.parent} could not be written to: {advice}") from error
    partial.replace(path)


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f"{path.suffix}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
