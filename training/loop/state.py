"""State of a run on disk, from which a killed run resumes; the previous state is kept too.

A state is written like every durable file: temporary file, fsync, rename, fsync of the folder. If
the disk nevertheless lost some of its content and it is unreadable, the run uses the previous one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from echo_node.errors import ConfigError, TransientError

_STATE, _PREVIOUS, _PARTIAL = "state.pt", "state.previous.pt", "state.pt.part"
_BEST = "best.pt"

State = dict[str, Any]


class StateFolder:
    """Folder of a run's states."""

    def __init__(self, folder: Path, recipe: str, note: Callable[[str], None]) -> None:
        """Open the folder.

        Args:
            folder: folder of the run.
            recipe: digest of the recipe; a state of another recipe is refused.
            note: function that prints a message about an unreadable state.
        """
        self._folder, self._recipe, self._note = folder, recipe, note

    def save(self, state: State) -> None:
        """Replace the newest state, and keep the previous one.

        Raises:
            TransientError: the state cannot be written; the earlier ones are unchanged.
        """
        partial = self._write({**state, "recipe": self._recipe})
        newest = self._folder / _STATE
        if newest.exists():
            newest.replace(self._folder / _PREVIOUS)
        self._rename(partial, newest)

    def save_best(self, weights: State) -> None:
        """Replace the best weights so far.

        Raises:
            TransientError: the weights cannot be written; the earlier ones are unchanged.
        """
        self._rename(self._write(weights), self._folder / _BEST)

    def load_best(self) -> State:
        """Return the best weights."""
        best: State = torch.load(self._folder / _BEST, weights_only=True, map_location="cpu")
        return best

    def load(self) -> State | None:
        """Return the newest readable state; None if there are no states.

        Raises:
            ConfigError: the state belongs to another recipe, or no state is readable.
        """
        paths = self.left_in(self._folder)
        for path in paths:
            try:
                state: State = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
            except (RuntimeError, OSError, EOFError, ValueError) as error:
                self._note(f"{path} is truncated or corrupt ({type(error).__name__}) and is skipped")
                continue
            if state.get("recipe") != self._recipe:
                raise ConfigError(
                    f"{path} belongs to a run of another recipe: choose another --out, or remove the file "
                    "to start from scratch"
                )
            return state
        if paths:
            raise ConfigError(
                f"no state in {self._folder} is readable: remove {_STATE} and {_PREVIOUS} to start from "
                "scratch"
            )
        return None

    @staticmethod
    def left_in(folder: Path) -> list[Path]:
        """Return the state files of an unfinished run, newest first."""
        return [path for name in (_STATE, _PREVIOUS) if (path := folder / name).is_file()]

    def clear(self) -> None:
        """Remove all states, after the checkpoint of the run is written."""
        for name in (_STATE, _PREVIOUS, _PARTIAL, _BEST):
            (self._folder / name).unlink(missing_ok=True)

    def _write(self, state: State) -> Path:
        partial = self._folder / _PARTIAL
        try:
            with partial.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # PyTorch's writer turns an OSError into a RuntimeError
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            cause = error if isinstance(error, OSError) else error.__context__ or error
            reason = getattr(cause, "strerror", None) or type(cause).__name__
            raise TransientError(
                f"cannot write a state to {self._folder} ({reason}); the previous one remains: free some "
                "space and run the same command again"
            ) from error
        return partial

    def _rename(self, partial: Path, target: Path) -> None:
        partial.replace(target)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
