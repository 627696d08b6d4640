"""The state of a run on disk, from which it goes on after a kill: whole, synced, and the one before it kept.

The order is that of durable files everywhere: a temporary file, fsync, rename, fsync of the folder. A state
that cannot be read nevertheless (a disk that lies) is passed over for the one before it.
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
    """Where a run keeps its states."""

    def __init__(self, folder: Path, recipe: str, note: Callable[[str], None]) -> None:
        """Know the folder.

        Args:
            folder: the run's.
            recipe: what the states belong to; a state of another recipe is refused.
            note: told when a state is passed over.
        """
        self._folder, self._recipe, self._note = folder, recipe, note

    def save(self, state: State) -> None:
        """Replace the newest state; the one before it stays.

        Raises:
            TransientError: it could not be written; the earlier ones are as they were.
        """
        partial = self._write({**state, "recipe": self._recipe})
        newest = self._folder / _STATE
        if newest.exists():
            newest.replace(self._folder / _PREVIOUS)
        self._rename(partial, newest)

    def save_best(self, weights: State) -> None:
        """Replace the best weights so far.

        Raises:
            TransientError: they could not be written; the earlier ones are as they were.
        """
        self._rename(self._write(weights), self._folder / _BEST)

    def load_best(self) -> State:
        """Return the best weights."""
        best: State = torch.load(self._folder / _BEST, weights_only=True, map_location="cpu")
        return best

    def load(self) -> State | None:
        """Return the newest state that can be read; none if there is no state at all.

        Raises:
            ConfigError: it belongs to another recipe, or there are states and none can be read.
        """
        paths = self.left_in(self._folder)
        for path in paths:
            try:
                state: State = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
            except (RuntimeError, OSError, EOFError, ValueError) as error:
                self._note(f"{path} cannot be read ({type(error).__name__}): truncated; passed over")
                continue
            if state.get("recipe") != self._recipe:
                raise ConfigError(
                    f"{path} belongs to a run of another recipe; take another --out, or remove the file "
                    "to begin anew"
                )
            return state
        if paths:
            raise ConfigError(f"no state in {self._folder} can be read; remove {_STATE} to begin anew")
        return None

    @staticmethod
    def left_in(folder: Path) -> list[Path]:
        """Return the states, newest first, of a run that has not ended."""
        return [path for name in (_STATE, _PREVIOUS) if (path := folder / name).is_file()]

    def clear(self) -> None:
        """Remove all states: the run has ended and its checkpoint is written."""
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
                f"a state could not be written to {self._folder} ({reason}); the one before it is kept: "
                "free some space and run the same command again"
            ) from error
        return partial

    def _rename(self, partial: Path, target: Path) -> None:
        partial.replace(target)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
