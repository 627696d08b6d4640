"""Opens of files, counted: what a process reads from a folder while a block runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_watched: list[tuple[str, list[Path]]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watched and isinstance(arguments[0], str | Path):
        for folder, opened in _watched:
            if str(arguments[0]).startswith(folder):
                opened.append(Path(arguments[0]))


sys.addaudithook(_note)  # for good: Python has no way to remove one


@contextmanager
def opened_in(folder: Path) -> Iterator[list[Path]]:
    """Yield the files below *folder* that are opened while the block runs, once for each time."""
    opened: list[Path] = []
    watch = (f"{folder}/", opened)
    _watched.append(watch)
    try:
        yield opened
    finally:
        _watched.remove(watch)
